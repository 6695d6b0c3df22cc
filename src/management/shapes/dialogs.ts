import { Type } from "typebox";
import { count, listOf, maybe, members, named, orNull, shared, text, whole } from "./kinds.ts";

/** A call as OpenSIPS `dlg_list` has it. */
export const ListedDialog = members({
  ID: text("the name of the dialog, which `dialog:end_dlg` takes"),
  db_id: text("the same"),
  state: whole("1 unconfirmed, 2 early, 3 confirmed, 4 confirmed with ACK, 5 ended", { minimum: 1, maximum: 5 }),
  user_flags: count("flags of the dialog, a bit each"),
  timestart: count("when it was answered, seconds since 1970; 0: not yet"),
  datestart: maybe(text("the same in local time")),
  timeout: count("when it ends in any case, seconds since 1970; 0: no time is set"),
  dateout: maybe(text("the same in local time")),
  callid: text("Call-ID"),
  from_uri: text("URI of From"),
  to_uri: text("URI of To"),
  caller_tag: text("tag of the caller"),
  caller_contact: text("Contact of the caller"),
  callee_cseq: text("latest CSeq of the callee"),
  caller_route_set: text("route set towards the caller"),
  caller_bind_addr: text("socket towards the caller: transport:address:port"),
  CALLEES: listOf(
    members({
      callee_tag: text("tag of the callee"),
      callee_contact: text("Contact of the callee"),
      caller_cseq: text("latest CSeq of the caller"),
      callee_route_set: text("route set towards the callee"),
      callee_bind_addr: orNull(text("transport:address:port"), "socket towards the callee, once there is one"),
    }),
    "the legs that answered",
  ),
  context: maybe(
    members(
      {
        profiles: maybe(
          listOf(named(text("its value"), "profile"), "profiles that count it, each with the destination's id in hexadecimal"),
        ),
      },
      "what the dialog counts: in `dialog:list_ctx`",
    ),
  ),
});

/** A call as `dlg_find` has it. */
export const FoundDialog = members({
  ID: text("the name of the dialog"),
  callid: text("Call-ID"),
  from_uri: text("URI of From"),
  to_uri: text("URI of To"),
  state: whole("as in `dialog:list`", { minimum: 1, maximum: 5 }),
  timestart: count("when it was answered, seconds since 1970; 0: not yet"),
  destinations: listOf(
    members({ id: count("id"), uri: text("SIP URI"), resources: listOf(text("name"), "what it counts there") }),
    "the destinations that it counts on",
  ),
});

/** What the listings of dialogs answer. */
export const DialogListing = Type.Union([
  members({ Dialog: shared("Dialog") }, "with `callid`"),
  members({ count: maybe(count("all dialogs, with `index` and `counter`")), Dialogs: listOf(shared("Dialog"), "the dialogs") }),
]);

export const LISTING_PARAMETERS = {
  callid: text("Call-ID of the call"),
  from_tag: text("tag of the caller"),
  index: count("position of the first dialog, from 0"),
  counter: count("dialogs at most; 0: all"),
};

export const PROFILE_PARAMETERS = {
  profile: text("`lbX` and the name of a resource, such as `lbXtranscoding`"),
  value: text("id of a destination in upper-case hexadecimal, such as `A` for 10"),
};

export const ProfileSize = members({
  Profile: members({
    name: text("name of the profile"),
    value: orNull(text("the value"), "the value that was asked for"),
    count: count("calls that it counts"),
    shared: text("always no"),
    replicated: text("always no"),
  }),
});
