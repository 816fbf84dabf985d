/** Search results as rows of `docker search`. */
import { SampanError } from "../common/error.ts";
import type { SearchResult } from "../image/registry/search.ts";
import { booleanOf, checkFilters, type Filters } from "./filters.ts";
import type { Columns } from "./format.ts";
import { ellipsis } from "./human.ts";

export class SearchRow {
  readonly #result: SearchResult;
  readonly #truncate: boolean;
  constructor(result: SearchResult, truncate: boolean) {
    this.#result = result;
    this.#truncate = truncate;
  }
  get Name(): string {
    return this.#result.name;
  }
  get Description(): string {
    const text = this.#result.description.replace(/[\n\r]/g, " ");
    return this.#truncate ? ellipsis(text, 45) : text;
  }
  get StarCount(): string {
    return String(this.#result.stars);
  }
  get IsOfficial(): string {
    return this.#result.official ? "[OK]" : "";
  }
  get IsAutomated(): string {
    return this.#result.automated ? "[OK]" : "";
  }
  /** JSON says it in other words than the table. */
  toJSON() {
    const { official } = this.#result;
    return {
      Description: this.Description,
      IsOfficial: String(official),
      Name: this.Name,
      StarCount: this.StarCount,
    };
  }
}

export const SEARCH_COLUMNS = {
  type: "*registry.searchContext",
  fields: ["Description", "IsOfficial", "Name", "StarCount"],
  headers: {
    Name: "NAME",
    Description: "DESCRIPTION",
    StarCount: "STARS",
    IsOfficial: "OFFICIAL",
    IsAutomated: "AUTOMATED",
  },
} as const satisfies Columns;

/** Which results are wanted: registries are not asked for that. */
export function searchFilter(filters: Filters): (result: SearchResult) => boolean {
  checkFilters(filters, ["is-automated", "is-official", "stars"]);
  const official = filters["is-official"]?.map((value) => booleanOf("is-official", value));
  const automated = filters["is-automated"]?.map((value) => booleanOf("is-automated", value));
  const stars = (filters["stars"] ?? []).map((value) => {
    if (!/^\d+$/.test(value))
      throw new SampanError("invalid", `invalid filter 'stars=${value}'`, { hint: "It takes a number." });
    return Number(value);
  });
  return (result) =>
    (official?.includes(result.official) ?? true) &&
    (automated?.includes(result.automated) ?? true) &&
    stars.every((least) => result.stars >= least);
}
