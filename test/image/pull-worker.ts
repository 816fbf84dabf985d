/** A process of its own that pulls an image into a state folder: `pull-worker.ts ROOT NAME`. */
import { Images } from "../../src/image/index.ts";
import { Store } from "../../src/store/index.ts";

const [, , root = "", name = ""] = process.argv;
const paths = { root, run: `${root}/run` };
await new Images(Store.open(paths), paths).pull(name);
