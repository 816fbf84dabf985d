/** Carries connections to a published port from where the kernel's rules cannot lead them (see ../carried.ts). */
import { connect, createServer } from "node:net";
import type { Carried } from "../carried.ts";

/** Listens and carries; resolves to what ends that, or undefined if the port could not be had. */
export function carry(address: string, port: Carried): Promise<(() => void) | undefined> {
  const { promise, resolve } = Promise.withResolvers<(() => void) | undefined>();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const inside = connect({ host: port.destination, port: port.target, allowHalfOpen: true });
    client.pipe(inside);
    inside.pipe(client);
    client.on("error", () => inside.destroy());
    inside.on("error", () => client.destroy());
  });
  server.on("error", () => resolve(undefined));
  server.listen({ host: address, port: port.port, ipv6Only: true }, () => resolve(() => void server.close()));
  return promise;
}
