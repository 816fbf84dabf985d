/** Files of cgroup v2 that the caller names itself (`linux.resources.unified`). */
import { SampanError } from "../../common/error.ts";
import type { Controller } from "./controller.ts";
import { put, refused } from "./controller.ts";

export const unified: Controller = {
  name: "unified",
  limits: (place, { unified: files }) =>
    Object.entries(files ?? {}).map(([file, data]) => {
      if (!/^[a-z0-9_.]+$/i.test(file) || file.startsWith("."))
        throw new SampanError("invalid", `invalid cgroup v2 file "${file}"`);
      if (place.version === 1) throw refused(file, "unified", "this is a cgroup v1 host");
      return put(place, file.slice(0, file.indexOf(".")), file, data, file);
    }),
};
