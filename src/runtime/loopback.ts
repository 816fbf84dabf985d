/** A network namespace is born with its loopback interface down: one rtnetlink message brings it up. */

const RTM_NEWLINK = 16;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const IFF_UP = 1;
/** lo is the first interface of every network namespace. */
const LOOPBACK_INDEX = 1;

/** struct nlmsghdr and struct ifinfomsg (rtnetlink(7)), little-endian as both machines are that this engine runs on. */
export function loopbackUp(): Uint8Array {
  const message = new DataView(new ArrayBuffer(32));
  message.setUint32(0, 32, true);
  message.setUint16(4, RTM_NEWLINK, true);
  message.setUint16(6, NLM_F_REQUEST | NLM_F_ACK, true);
  message.setUint32(8, 1, true);
  message.setUint32(20, LOOPBACK_INDEX, true);
  message.setUint32(24, IFF_UP, true);
  message.setUint32(28, IFF_UP, true);
  return new Uint8Array(message.buffer);
}
