import type { Config } from "../config/index.ts";
import type { PingSettings } from "../proxy/index.ts";
import type { Announcer } from "./announcer.ts";

/** How calls are pinged, as the configuration says, and who is told when nobody answers any more. */
export function pingSettings({ dialog }: Pick<Config, "dialog">, announcer: Pick<Announcer, "pingOutageChanged">): PingSettings {
  return {
    optionsMs: dialog.options_ping_interval * 1000,
    reinviteMs: dialog.reinvite_ping_interval * 1000,
    outageMs: dialog.ping_outage_timeout * 1000,
    outageChanged: (outage) => announcer.pingOutageChanged(outage),
  };
}
