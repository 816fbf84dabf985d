/** net_cls and net_prio: marks on packets. v2 has neither; there it is eBPF's work. */
import type { Controller } from "./controller.ts";
import { notOnV2, put } from "./controller.ts";

export const netCls: Controller = {
  name: "net_cls",
  v1: "net_cls",
  limits(place, { network }) {
    if (!network?.classID) return [];
    if (place.version === 2) throw notOnV2("network.classID", "net_cls");
    return [put(place, "net_cls", "net_cls.classid", network.classID, "network.classID")];
  },
};

export const netPrio: Controller = {
  name: "net_prio",
  v1: "net_prio",
  limits(place, { network }) {
    const priorities = network?.priorities ?? [];
    if (priorities.length === 0) return [];
    if (place.version === 2) throw notOnV2("network.priorities", "net_prio");
    return priorities.map(({ name, priority }) =>
      put(place, "net_prio", "net_prio.ifpriomap", `${name} ${priority}`, "network.priorities"),
    );
  },
};
