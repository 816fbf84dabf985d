/** hugetlb: bytes of huge pages of each size. */
import type { Controller } from "./controller.ts";
import { put } from "./controller.ts";

export const hugetlb: Controller = {
  name: "hugetlb",
  v1: "hugetlb",
  v2: "hugetlb",
  limits: (place, { hugepageLimits }) =>
    (hugepageLimits ?? []).map(({ pageSize, limit }) =>
      put(
        place,
        "hugetlb",
        `hugetlb.${pageSize}.${place.version === 2 ? "max" : "limit_in_bytes"}`,
        limit,
        `hugepageLimits ${pageSize}`,
      ),
    ),
};
