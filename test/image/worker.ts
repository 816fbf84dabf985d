/** A process of its own that loads an archive into a state folder: `worker.ts ROOT ARCHIVE`. */
import { Images } from "../../src/image/index.ts";
import { Store } from "../../src/store/index.ts";

const [root = "", archive = ""] = Bun.argv.slice(2);
const paths = { root, run: `${root}/run` };
const loaded = await new Images(Store.open(paths), paths).load(archive);
console.log(loaded.map(({ id }) => id).join(" "));
