/**
 * The same executable on a kernel that has cgroup v2 and nothing else. It takes a boot of its own, so it is a command of
 * its own: `npm run test:v2`.
 */
import { HERE } from "../support/guest/architecture.ts";
import { inGuest } from "../support/guest/report.ts";
import { CHECKS } from "./checks.ts";

inGuest("on a kernel with cgroup v2 alone", { architecture: HERE, checks: CHECKS, timeout: 600_000 });
