/**
 * What takes a kernel that the machine of the other tests may not have: SELinux, ipvlan, filesystems of servers. Two boots
 * of Debian's kernel, so a command of its own: `npm run test:kernels`.
 */
import { inGuest } from "../support/guest/report.ts";
import { ENFORCING, MODULES } from "./guests.ts";

inGuest("on a kernel with ipvlan, NFS and SMB", MODULES);
inGuest("on a kernel that enforces SELinux", ENFORCING);
