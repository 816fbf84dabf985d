/** The three `inspect` commands: objects found by name, printed as JSON or by a template, what was not found at the end. */
import { goIndent } from "../docker/format.ts";
import { complain, print, write } from "./output.ts";
import { report } from "./report.ts";
import { shown } from "./shown.ts";

export async function inspectAll(
  references: readonly string[],
  format: string | undefined,
  find: (reference: string) => unknown,
): Promise<number> {
  const errors: unknown[] = [];
  const objects: unknown[] = [];
  for (const reference of references) {
    try {
      objects.push(await find(reference));
    } catch (error) {
      errors.push(error);
    }
  }
  let code = errors.length > 0 ? 1 : 0;
  if (format === "json") print(JSON.stringify(objects));
  else if (format) {
    const { FormatError, inspectTemplate } = await import("../docker/inspect-format.ts");
    try {
      const execute = inspectTemplate(format);
      for (const object of objects) write(1, shown(`${execute(object)}\n`, format));
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      complain(`sampan: ${error.message}`);
      code = error.code;
    }
  } else print(shown(goIndent(objects)));
  for (const error of errors) report(error);
  return code;
}
