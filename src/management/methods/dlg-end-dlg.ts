import { defineMethod } from "../define-method.ts";
import { toWire } from "../describe-dialog.ts";
import { readExtraHeaders } from "../extra-headers.ts";
import { MiError } from "../jsonrpc.ts";
import { OK, text } from "../shapes/kinds.ts";

/** `dialog:end_dlg`: ends a call from here, with a BYE to both sides. `dialog_id` is the ID of `dialog:list` or a Call-ID. */
export const dlgEndDlg = defineMethod({
  name: "dialog:end_dlg",
  aliases: ["dlg_end_dlg"],
  help: "ends an ongoing dialog, named by its ID or its Call-ID, with a BYE to both sides; extra_hdrs go into them",
  recipes: [["dialog_id"], ["dialog_id", "extra_hdrs"]],
  parameters: {
    dialog_id: text("ID of `dialog:list`, or a Call-ID"),
    extra_hdrs: text("headers for the BYEs, each ended by CR LF; 16 at most"),
  },
  result: OK,
  failures: [
    { code: 404, message: "Requested Dialog not found" },
    { code: 500, message: "Operation failed" },
  ],
  writes: () => true,
  run(params, { ports }) {
    const id = toWire(params.text("dialog_id"));
    const headers = params.has("extra_hdrs") ? readExtraHeaders(toWire(params.text("extra_hdrs"))) : [];
    const dialog = ports.dialogs.byDid(id) ?? ports.dialogs.byCallId(id);
    if (dialog === undefined) throw new MiError(404, "Requested Dialog not found");
    try {
      if (headers.length > 0) ports.endDialog(dialog, headers);
      else ports.endDialog(dialog);
    } catch (error) {
      ports.log.error({ err: error, callId: dialog.callId }, "cannot end a dialog");
      throw new MiError(500, "Operation failed");
    }
    return "OK";
  },
});
