/** A network namespace is born with its loopback interface down: one rtnetlink message brings it up. */

const RTM_NEWLINK = 16;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const IFF_UP = 1;
/** lo is the first interface of every network namespace. */
const LOOPBACK_INDEX = 1;

/** struct nlmsghdr and struct ifinfomsg (rtnetlink(7)), little-endian as both machines are that this engine runs on. */
export function loopbackUp(): Uint8Array {
  const message = new Uint8Array(32);
  message[0] = message.length;
  message[4] = RTM_NEWLINK;
  message[6] = NLM_F_REQUEST | NLM_F_ACK;
  message[8] = 1; // sequence
  message[20] = LOOPBACK_INDEX;
  message[24] = IFF_UP; // flags
  message[28] = IFF_UP; // and which of them to change
  return message;
}
