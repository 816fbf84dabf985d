/** Explanations: any container, or any process, shown as what it is to the kernel. */

export { type Again, again, FORMS, type Form, isForm } from "./again.ts";
export { type Ahead, explainAhead, type Obstacle } from "./ahead.ts";
export { aheadText } from "./ahead-text.ts";
export { asRun, type CommandLine, runText } from "./as-run.ts";
export { type Comparison, compare, type Difference } from "./compare.ts";
export { comparisonText } from "./compare-text.ts";
export { type Diagnosis, diagnosisText, doctor, type Finding } from "./doctor/index.ts";
export { type Cause, type Ending, explainEnd } from "./ending.ts";
export { endingText } from "./ending-text.ts";
export { explain } from "./explain.ts";
export type { Style } from "./layout.ts";
export { explainPath, type PathExplanation } from "./path.ts";
export { pathText } from "./path-text.ts";
export { explainPlan, type PlanExplanation, type PlanLine } from "./plan.ts";
export { planText, timelineText } from "./plan-text.ts";
export { explanationText } from "./text.ts";
export type * from "./types.ts";
