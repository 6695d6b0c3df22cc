import type { Method } from "../define-method.ts";
import { arg } from "./arg.ts";
import { auditLog } from "./audit-log.ts";
import { clusterBroadcastMi } from "./cluster-broadcast-mi.ts";
import { clusterSendMi } from "./cluster-send-mi.ts";
import { clustererList } from "./clusterer-list.ts";
import { clustererListCap } from "./clusterer-list-cap.ts";
import { clustererListShtags } from "./clusterer-list-shtags.ts";
import { clustererShtagSetActive } from "./clusterer-shtag-set-active.ts";
import { dispatcherAdd } from "./dispatcher-add.ts";
import { dispatcherHash } from "./dispatcher-hash.ts";
import { dispatcherList } from "./dispatcher-list.ts";
import { dispatcherOclist } from "./dispatcher-oclist.ts";
import { dispatcherPingActive } from "./dispatcher-ping-active.ts";
import { dispatcherReload } from "./dispatcher-reload.ts";
import { dispatcherRemove } from "./dispatcher-remove.ts";
import { dispatcherSetDuidState, dispatcherSetState } from "./dispatcher-set-state.ts";
import { distributorCtl } from "./distributor-ctl.ts";
import { distributorNext } from "./distributor-next.ts";
import { dlgEndDlg } from "./dlg-end-dlg.ts";
import { dlgFind } from "./dlg-find.ts";
import { dlgList } from "./dlg-list.ts";
import { dlgListCtx } from "./dlg-list-ctx.ts";
import { getStatistics } from "./get-statistics.ts";
import { help } from "./help.ts";
import { lbAudit } from "./lb-audit.ts";
import { lbBreakers } from "./lb-breakers.ts";
import { lbDrain } from "./lb-drain.ts";
import { lbExplain } from "./lb-explain.ts";
import { lbFreeswitch } from "./lb-freeswitch.ts";
import { lbList } from "./lb-list.ts";
import { lbProbes } from "./lb-probes.ts";
import { lbRegistrations } from "./lb-registrations.ts";
import { lbReload } from "./lb-reload.ts";
import { lbResize } from "./lb-resize.ts";
import { lbStatus } from "./lb-status.ts";
import { lbUndrain } from "./lb-undrain.ts";
import { lbWhatIf } from "./lb-what-if.ts";
import { listAllProfiles } from "./list-all-profiles.ts";
import { listStatistics } from "./list-statistics.ts";
import { pikeList } from "./pike-list.ts";
import { pikeRm } from "./pike-rm.ts";
import { profileGetSize } from "./profile-get-size.ts";
import { profileGetValues } from "./profile-get-values.ts";
import { profileListDlgs } from "./profile-list-dlgs.ts";
import { ps } from "./ps.ts";
import { pwd } from "./pwd.ts";
import { resetStatistics } from "./reset-statistics.ts";
import { restart } from "./restart.ts";
import { tracerCapture } from "./tracer-capture.ts";
import { uptime } from "./uptime.ts";
import { version } from "./version.ts";
import { which } from "./which.ts";

/** Every management method, in the order in which `which` lists them. */
export const allMethods: readonly Method[] = [
  getStatistics,
  listStatistics,
  resetStatistics,
  uptime,
  version,
  pwd,
  arg,
  which,
  ps,
  help,
  restart,
  auditLog,
  clustererList,
  clusterSendMi,
  clusterBroadcastMi,
  clustererListCap,
  clustererListShtags,
  clustererShtagSetActive,
  dlgList,
  dlgListCtx,
  dlgFind,
  dlgEndDlg,
  profileGetSize,
  profileListDlgs,
  profileGetValues,
  listAllProfiles,
  lbReload,
  lbResize,
  lbList,
  lbStatus,
  lbDrain,
  lbUndrain,
  lbProbes,
  lbAudit,
  lbBreakers,
  lbFreeswitch,
  lbRegistrations,
  lbExplain,
  lbWhatIf,
  tracerCapture,
  distributorNext,
  distributorCtl,
  dispatcherList,
  dispatcherReload,
  dispatcherSetState,
  dispatcherSetDuidState,
  dispatcherAdd,
  dispatcherRemove,
  dispatcherPingActive,
  dispatcherHash,
  dispatcherOclist,
  pikeList,
  pikeRm,
];

/** The names by which people call the methods: short ones where there are such, as `lb_list`. */
export function shortMethodNames(): string[] {
  return allMethods.flatMap(({ name, aliases }) => (aliases === undefined || aliases.length === 0 ? [name] : aliases)).sort();
}
