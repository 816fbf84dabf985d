/** What a configuration may say and is better not to: Docker's warnings. */
import type { ContainerConfig } from "./config.ts";

export function warningsOf({ resources, dns }: ContainerConfig): string[] {
  const warnings: string[] = [];
  for (const server of dns)
    if (server.startsWith("127.") || server === "::1")
      warnings.push(`Localhost DNS (${server}) may fail in containers.`);
  if (resources.oomKillDisable && !resources.memory)
    warnings.push(
      "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.",
    );
  return warnings;
}
