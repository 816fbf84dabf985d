/** What a configuration may say and is better not to: Docker's warnings. */
import { hostPlatform, type ImageConfig, platformText } from "../image/index.ts";
import type { ContainerConfig } from "./config.ts";

export function warningsOf(
  { resources, dns, platform }: ContainerConfig,
  image: ImageConfig | undefined,
): string[] {
  const warnings: string[] = [];
  const host = hostPlatform();
  if (image && !platform && !runsOn(image.architecture, host.architecture))
    warnings.push(
      `The image's platform (${platformText(image)}) is not this machine's (${platformText(host)}), and no --platform asked for it.`,
    );
  for (const server of dns)
    if (server.startsWith("127.") || server === "::1")
      warnings.push(`Localhost DNS (${server}) may fail in containers.`);
  if (resources.oomKillDisable && !resources.memory)
    warnings.push(
      "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.",
    );
  return warnings;
}

/** 32-bit programs of the same family are the kernel's to run, too. */
const runsOn = (image: string, host: string): boolean =>
  !image || image === host || (host === "amd64" ? image === "386" : host === "arm64" && image === "arm");
