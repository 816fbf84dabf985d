/** Asks one question many times, many at once, and prints how many answers came a second: `bun bench/flood.ts SERVER PORT NAME MS`. */
import { udpSocket } from "bun";

const [server = "", port = "", name = "", duration = ""] = process.argv.slice(2);
const WINDOW = 64;

const labels = name.split(".").map((label) => String.fromCharCode(label.length) + label);
const question = Buffer.concat([
  Buffer.from("000101000001000000000000", "hex"),
  Buffer.from(`${labels.join("")}\0`, "latin1"),
  Buffer.from("00010001", "hex"),
]);

let answered = 0;
const ask = (socket: { send(data: Buffer, port: number, address: string): unknown }): void => {
  socket.send(question, Number(port), server);
};
const socket = await udpSocket({
  socket: {
    data(socket, data) {
      // Without an answer in it, it counts for nothing.
      if (data.readUInt16BE(6) > 0) answered++;
      ask(socket);
    },
  },
});
const start = performance.now();
for (let i = 0; i < WINDOW; i++) ask(socket);
await Bun.sleep(Number(duration));
console.log(Math.round(answered / ((performance.now() - start) / 1000)));
process.exit(0);
