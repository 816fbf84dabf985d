/** `sampan logout`: forgets what `login` has kept. */
import { registryLogin } from "../../image/index.ts";
import { command } from "../command.ts";
import { print } from "../output.ts";

export default command({
  usage: "[SERVER]",
  flags: {},
  least: 0,
  most: 1,
  async run({ args }) {
    const { credentialKey, logout, registryHost } = await registryLogin();
    const host = registryHost(args[0]);
    const key = credentialKey(host);
    print((await logout(host)) ? `Removing login credentials for ${key}` : `Not logged in to ${key}`);
    return 0;
  },
});
