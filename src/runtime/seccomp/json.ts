/**
 * Seccomp profiles as files: Docker's form, whose rules come with conditions (capabilities, architecture, kernel), or
 * OCI's, which has none. Both end as OCI's.
 */
import { SampanError } from "../../common/error.ts";
import { kernelAtLeast, parseRelease } from "../../kernel/version.ts";
import type { SeccompAction, SeccompRule, SpecSeccomp } from "../spec.ts";

interface Condition {
  readonly caps?: readonly string[];
  readonly arches?: readonly string[];
  readonly minKernel?: string;
}

interface DockerRule extends Omit<SeccompRule, "names"> {
  readonly name?: string;
  readonly names?: readonly string[];
  readonly includes?: Condition;
  readonly excludes?: Condition;
}

interface DockerProfile extends Omit<SpecSeccomp, "syscalls"> {
  readonly archMap?: readonly {
    readonly architecture: string;
    readonly subArchitectures?: readonly string[] | null;
  }[];
  readonly syscalls?: readonly DockerRule[] | null;
}

const KNOWN_ACTIONS: ReadonlySet<string> = new Set<SeccompAction>([
  "SCMP_ACT_KILL",
  "SCMP_ACT_KILL_THREAD",
  "SCMP_ACT_KILL_PROCESS",
  "SCMP_ACT_TRAP",
  "SCMP_ACT_ERRNO",
  "SCMP_ACT_TRACE",
  "SCMP_ACT_ALLOW",
  "SCMP_ACT_LOG",
  "SCMP_ACT_NOTIFY",
]);

const kernelIs = (wanted: string): boolean => kernelAtLeast(...parseRelease(wanted));

export function parseProfile(text: string, capabilities: readonly string[]): SpecSeccomp {
  let profile: DockerProfile;
  try {
    profile = JSON.parse(text) as DockerProfile;
  } catch (cause) {
    throw new SampanError("invalid", `Decoding seccomp profile failed: ${(cause as Error).message}`, {
      cause,
    });
  }
  if (typeof profile !== "object" || profile === null || !KNOWN_ACTIONS.has(profile.defaultAction))
    throw new SampanError(
      "invalid",
      "Decoding seccomp profile failed: it needs a defaultAction such as SCMP_ACT_ERRNO",
    );
  const arm = process.arch === "arm64";
  const goarch = arm ? "arm64" : "amd64";
  const holds = ({ includes, excludes }: DockerRule): boolean => {
    if (includes?.arches?.length && !includes.arches.includes(goarch)) return false;
    if (includes?.caps?.some((name) => !capabilities.includes(name))) return false;
    if (includes?.minKernel && !kernelIs(includes.minKernel)) return false;
    if (excludes?.arches?.includes(goarch)) return false;
    if (excludes?.caps?.some((name) => capabilities.includes(name))) return false;
    return !(excludes?.minKernel && kernelIs(excludes.minKernel));
  };
  const syscalls = (profile.syscalls ?? [])
    .filter(holds)
    .map(({ name, names, action, errnoRet, args }): SeccompRule => {
      if (!KNOWN_ACTIONS.has(action))
        throw new SampanError(
          "invalid",
          `Decoding seccomp profile failed: unknown action "${String(action)}"`,
        );
      return {
        names: names ?? (name === undefined ? [] : [name]),
        action,
        ...(errnoRet === undefined || errnoRet === null ? {} : { errnoRet }),
        ...(args?.length ? { args } : {}),
      };
    });
  const native = arm ? "SCMP_ARCH_AARCH64" : "SCMP_ARCH_X86_64";
  const mapped = profile.archMap?.find(({ architecture }) => architecture === native);
  const architectures = profile.architectures?.length
    ? profile.architectures
    : mapped
      ? [native, ...(mapped.subArchitectures ?? [])]
      : [];
  return {
    defaultAction: profile.defaultAction,
    ...(profile.defaultErrnoRet === undefined ? {} : { defaultErrnoRet: profile.defaultErrnoRet }),
    ...(architectures.length > 0 ? { architectures } : {}),
    ...(profile.flags ? { flags: profile.flags } : {}),
    syscalls,
  };
}
