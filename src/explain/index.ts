/**
 * Explanations: any container, or any process, shown as what it is to the kernel. Only what shows a process that runs is loaded
 * with this; everything else when it is asked for.
 */
export type { Again, Form } from "./again.ts";
export type { Ahead, Obstacle } from "./ahead.ts";
export { type Comparison, compare, type Difference } from "./compare.ts";
export { comparisonText } from "./compare-text.ts";
export type { Diagnosis, Finding } from "./doctor/index.ts";
export { type Cause, type Ending, explainEnd, whenRemoved } from "./ending.ts";
export { endingText } from "./ending-text.ts";
export { explain } from "./explain.ts";
export { FORMS, isForm } from "./forms.ts";
export type { Style } from "./layout.ts";
export type { PathExplanation } from "./path.ts";
export type { PlanExplanation, PlanLine } from "./plan.ts";
export { explanationText } from "./text.ts";
export type * from "./types.ts";

/** The container in another form, out of which it can be made once more. */
export const again: typeof import("./again.ts").again = async (...given) =>
  (await import("./again.ts")).again(...given);

/** What `run` would do with this configuration, and what this machine would refuse of it. Nothing is made. */
export const explainAhead: typeof import("./ahead.ts").explainAhead = async (...given) =>
  (await import("./ahead.ts")).explainAhead(...given);

/** Where one path of a container comes from. */
export const explainPath: typeof import("./path.ts").explainPath = async (...given) =>
  (await import("./path.ts")).explainPath(...given);

/** The plan of a container's last start, with the time of each step. */
export const explainPlan: typeof import("./plan.ts").explainPlan = async (...given) =>
  (await import("./plan.ts")).explainPlan(...given);

/** A check-up of this machine: every primitive that containers are made of, tried once. */
export const doctor: typeof import("./doctor/index.ts").doctor = async (...given) =>
  (await import("./doctor/index.ts")).doctor(...given);

/** The texts of what is loaded when it is asked for. */
export const texts = async () => {
  const [{ aheadText }, { diagnosisText }, { pathText }, { planText, timelineText }] = await Promise.all([
    import("./ahead-text.ts"),
    import("./doctor/text.ts"),
    import("./path-text.ts"),
    import("./plan-text.ts"),
  ]);
  return { aheadText, diagnosisText, pathText, planText, timelineText };
};
