export { ATTACH, Connection, connect } from "./connection.ts";
export { doctorRows } from "./doctor-row.ts";
export { Elsewhere } from "./elsewhere.ts";
export { FRAME } from "./frame.ts";
export {
  enginePath,
  LaunchError,
  Launcher,
  launch,
  launcherPath,
  launchNow,
  startEngine,
  startHolding,
} from "./launch.ts";
export {
  type Exit,
  type HealthPlan,
  type KeeperPlan,
  type LogPlan,
  NO_KEEPER,
  type Plan,
  type Report,
  type RestartPlan,
  type StepReport,
} from "./plan.ts";
export {
  type At,
  type Call,
  type CallName,
  CLONE,
  type Column,
  type Create,
  type Fill,
  type NamespaceName,
  type Step,
} from "./step.ts";
