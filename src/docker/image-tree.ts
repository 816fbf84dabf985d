/** `docker images --tree`: each image with its names, and beneath them the platforms that it is there for. */
import { humanSize, shortId } from "./human.ts";

export interface TreeImage {
  readonly names: readonly string[];
  readonly id: string;
  /** Bytes on the disk: what is unpacked, and what came. */
  readonly unpacked: number;
  readonly content: number;
  /** A container was made of it, or has it mounted. */
  readonly used: boolean;
  readonly platform: string;
  /** The digest of the manifest for that platform. */
  readonly manifest: string;
}

interface Column {
  readonly title: string;
  readonly width: number;
  readonly align: "left" | "right" | "center";
}

const COLUMNS: readonly Column[] = [
  { title: "ID", width: 12, align: "left" },
  { title: "DISK USAGE", width: 10, align: "right" },
  { title: "CONTENT SIZE", width: 12, align: "right" },
  { title: "USED", width: 4, align: "center" },
];
const WARNING =
  "WARNING: This is an experimental feature. The output may change and shouldn't be depended on.";
const SPACING = "   ";
const UNTAGGED = "<untagged>";
/** The name's column is not made narrower: others go instead. */
const LEAST = 12;

/** Newest first as they are given. `width`: of the terminal. */
export function imageTree(images: readonly TreeImage[], width = 80): string {
  let room = Math.max(width, 20);
  const columns: Column[] = [];
  for (const column of COLUMNS) {
    const wanted = column.width + SPACING.length;
    if (room - wanted < LEAST) break;
    room -= wanted;
    columns.push(column);
  }
  const firsts = images.flatMap(({ names, platform }) => [...names, `└─ ${platform}`, UNTAGGED]);
  const name: Column = {
    title: "IMAGE",
    width: Math.min(room, Math.max("IMAGE".length, ...firsts.map(({ length }) => length))),
    align: "left",
  };
  const line = (first: string, cells: readonly string[]): string =>
    [fit(first, name), ...columns.map((column, index) => fit(cells[index] ?? "", column))].join(SPACING);
  const blocks = images.map((image) => {
    const names = image.names.length > 0 ? image.names : [UNTAGGED];
    const rest = [
      humanSize(image.unpacked + image.content),
      humanSize(image.content),
      image.used ? "✔" : " ",
    ];
    return [
      ...names.slice(0, -1).map((each) => fit(each, name)),
      line(names.at(-1) ?? "", [shortId(image.id), ...rest]),
      line(`└─ ${image.platform}`, [shortId(image.manifest), ...rest]),
    ].join("\n");
  });
  const head = line(
    name.title,
    columns.map(({ title }) => title),
  );
  return `${WARNING}\n${head}\n${blocks.map((block) => `${block}\n`).join("\n")}`;
}

function fit(text: string, { width, align }: Column): string {
  const letters = [...text];
  if (letters.length > width) return `${letters.slice(0, width - 3).join("")}...`;
  const fill = width - letters.length;
  const left = align === "left" ? 0 : align === "right" ? fill : Math.floor(fill / 2);
  return " ".repeat(left) + text + " ".repeat(fill - left);
}
