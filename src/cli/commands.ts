/** The commands. Each is loaded when it is called and not before, so that one command never pays for another. */
import type { Entry } from "./command.ts";

export const COMMANDS: readonly Entry[] = [
  {
    names: ["container run", "run"],
    summary: "Create and run a new container from an image",
    common: true,
    load: () => import("./commands/run.ts"),
  },
  {
    names: ["container exec", "exec"],
    summary: "Execute a command in a running container",
    common: true,
    load: () => import("./commands/exec.ts"),
  },
  {
    names: ["container ls", "container list", "container ps", "ps"],
    summary: "List containers",
    common: true,
    load: () => import("./commands/ps.ts"),
  },
  {
    names: ["image pull", "pull"],
    summary: "Download an image from a registry",
    common: true,
    load: () => import("./commands/pull.ts"),
  },
  {
    names: ["image push", "push"],
    summary: "Upload an image to a registry",
    common: true,
    load: () => import("./commands/push.ts"),
  },
  {
    names: ["image ls", "image list", "images"],
    summary: "List images",
    common: true,
    load: () => import("./commands/images.ts"),
  },
  {
    names: ["login"],
    summary: "Authenticate to a registry",
    common: true,
    load: () => import("./commands/login.ts"),
  },
  {
    names: ["logout"],
    summary: "Log out from a registry",
    common: true,
    load: () => import("./commands/logout.ts"),
  },
  {
    names: ["search"],
    summary: "Search Docker Hub for images",
    common: true,
    load: () => import("./commands/search.ts"),
  },
  {
    names: ["version"],
    summary: "Show the Sampan version information",
    common: true,
    load: () => import("./commands/version.ts"),
  },
  {
    names: ["system info", "info"],
    summary: "Display system-wide information",
    common: true,
    load: () => import("./commands/info.ts"),
  },
  {
    names: ["explain"],
    summary: "Show a container, or any process, as what it is to the kernel",
    common: true,
    load: () => import("./commands/explain.ts"),
  },
  {
    names: ["doctor"],
    summary: "Try what containers need on this machine, and say what is in the way",
    load: () => import("./commands/doctor.ts"),
  },
  {
    names: ["apply"],
    summary: "Do what a container changed in copy-on-write binds to the folders themselves",
    load: () => import("./commands/apply.ts"),
  },
  {
    names: ["container attach", "attach"],
    summary: "Attach local standard input, output, and error streams to a running container",
    load: () => import("./commands/attach.ts"),
  },
  {
    names: ["container commit", "commit"],
    summary: "Create a new image from a container's changes",
    load: () => import("./commands/commit.ts"),
  },
  {
    names: ["container cp", "cp"],
    summary: "Copy files/folders between a container and the local filesystem",
    load: () => import("./commands/cp.ts"),
  },
  {
    names: ["container create", "create"],
    summary: "Create a new container",
    load: () => import("./commands/create.ts"),
  },
  {
    names: ["container diff", "diff"],
    summary: "Inspect changes to files or directories on a container's filesystem",
    load: () => import("./commands/diff.ts"),
  },
  {
    names: ["system events", "events"],
    summary: "Get real time events from the engine",
    load: () => import("./commands/events.ts"),
  },
  {
    names: ["container export", "export"],
    summary: "Export a container's filesystem as a tar archive",
    load: () => import("./commands/export.ts"),
  },
  {
    names: ["image history", "history"],
    summary: "Show the history of an image",
    load: () => import("./commands/history.ts"),
  },
  {
    names: ["image import", "import"],
    summary: "Import the contents from a tarball to create a filesystem image",
    load: () => import("./commands/import.ts"),
  },
  {
    names: ["inspect"],
    summary: "Return low-level information on containers and images",
    load: () => import("./commands/inspect.ts"),
  },
  {
    names: ["container kill", "kill"],
    summary: "Kill one or more running containers",
    load: () => import("./commands/kill.ts"),
  },
  {
    names: ["image load", "load"],
    summary: "Load an image from a tar archive or STDIN",
    load: () => import("./commands/load.ts"),
  },
  {
    names: ["container logs", "logs"],
    summary: "Fetch the logs of a container",
    load: () => import("./commands/logs.ts"),
  },
  {
    names: ["container pause", "pause"],
    summary: "Pause all processes within one or more containers",
    load: () => import("./commands/pause.ts"),
  },
  {
    names: ["container port", "port"],
    summary: "List port mappings or a specific mapping for the container",
    load: () => import("./commands/port.ts"),
  },
  {
    names: ["container rename", "rename"],
    summary: "Rename a container",
    load: () => import("./commands/rename.ts"),
  },
  {
    names: ["container restart", "restart"],
    summary: "Restart one or more containers",
    load: () => import("./commands/restart.ts"),
  },
  {
    names: ["container rm", "container remove", "rm"],
    summary: "Remove one or more containers",
    load: () => import("./commands/rm.ts"),
  },
  {
    names: ["image rm", "image remove", "rmi"],
    summary: "Remove one or more images",
    load: () => import("./commands/rmi.ts"),
  },
  {
    names: ["image save", "save"],
    summary: "Save one or more images to a tar archive (streamed to STDOUT by default)",
    load: () => import("./commands/save.ts"),
  },
  {
    names: ["container start", "start"],
    summary: "Start one or more stopped containers",
    load: () => import("./commands/start.ts"),
  },
  {
    names: ["container stats", "stats"],
    summary: "Display a live stream of container(s) resource usage statistics",
    load: () => import("./commands/stats.ts"),
  },
  {
    names: ["container stop", "stop"],
    summary: "Stop one or more running containers",
    load: () => import("./commands/stop.ts"),
  },
  {
    names: ["image tag", "tag"],
    summary: "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    load: () => import("./commands/tag.ts"),
  },
  {
    names: ["container top", "top"],
    summary: "Display the running processes of a container",
    load: () => import("./commands/top.ts"),
  },
  {
    names: ["container unpause", "unpause"],
    summary: "Unpause all processes within one or more containers",
    load: () => import("./commands/unpause.ts"),
  },
  {
    names: ["container update", "update"],
    summary: "Update configuration of one or more containers",
    load: () => import("./commands/update.ts"),
  },
  {
    names: ["container wait", "wait"],
    summary: "Block until one or more containers stop, then print their exit codes",
    load: () => import("./commands/wait.ts"),
  },
  {
    names: ["container inspect"],
    summary: "Display detailed information on one or more containers",
    load: () => import("./commands/container-inspect.ts"),
  },
  {
    names: ["container prune"],
    summary: "Remove all stopped containers",
    load: () => import("./commands/container-prune.ts"),
  },
  {
    names: ["image inspect"],
    summary: "Display detailed information on one or more images",
    load: () => import("./commands/image-inspect.ts"),
  },
  {
    names: ["image prune"],
    summary: "Remove unused images",
    load: () => import("./commands/image-prune.ts"),
  },
  {
    names: ["manifest inspect"],
    summary: "Display an image manifest, or manifest list",
    load: () => import("./commands/manifest-inspect.ts"),
  },
  {
    names: ["system df"],
    summary: "Show disk usage",
    load: () => import("./commands/system-df.ts"),
  },
  {
    names: ["system prune"],
    summary: "Remove unused data",
    load: () => import("./commands/system-prune.ts"),
  },
  {
    names: ["completion bash"],
    summary: "Generate the autocompletion script for bash",
    load: async () => ({ default: (await import("./commands/completion.ts")).bash }),
  },
  {
    names: ["completion fish"],
    summary: "Generate the autocompletion script for fish",
    load: async () => ({ default: (await import("./commands/completion.ts")).fish }),
  },
  {
    names: ["completion zsh"],
    summary: "Generate the autocompletion script for zsh",
    load: async () => ({ default: (await import("./commands/completion.ts")).zsh }),
  },
  {
    names: ["network connect"],
    summary: "Connect a container to a network",
    load: () => import("./commands/network-connect.ts"),
  },
  {
    names: ["network create"],
    summary: "Create a network",
    load: () => import("./commands/network-create.ts"),
  },
  {
    names: ["network disconnect"],
    summary: "Disconnect a container from a network",
    load: () => import("./commands/network-disconnect.ts"),
  },
  {
    names: ["network inspect"],
    summary: "Display detailed information on one or more networks",
    load: () => import("./commands/network-inspect.ts"),
  },
  {
    names: ["network ls", "network list"],
    summary: "List networks",
    load: () => import("./commands/network-ls.ts"),
  },
  {
    names: ["network prune"],
    summary: "Remove all unused networks",
    load: () => import("./commands/network-prune.ts"),
  },
  {
    names: ["network rm", "network remove"],
    summary: "Remove one or more networks",
    load: () => import("./commands/network-rm.ts"),
  },
  {
    names: ["volume clone"],
    summary: "Create a volume with the content of another",
    load: () => import("./commands/volume-clone.ts"),
  },
  {
    names: ["volume create"],
    summary: "Create a volume",
    load: () => import("./commands/volume-create.ts"),
  },
  {
    names: ["volume export"],
    summary: "Export a volume's content as a tar archive",
    load: () => import("./commands/volume-export.ts"),
  },
  {
    names: ["volume import"],
    summary: "Create a volume from a tar archive",
    load: () => import("./commands/volume-import.ts"),
  },
  {
    names: ["volume inspect"],
    summary: "Display detailed information on one or more volumes",
    load: () => import("./commands/volume-inspect.ts"),
  },
  {
    names: ["volume ls", "volume list"],
    summary: "List volumes",
    load: () => import("./commands/volume-ls.ts"),
  },
  {
    names: ["volume prune"],
    summary: "Remove unused local volumes",
    load: () => import("./commands/volume-prune.ts"),
  },
  {
    names: ["volume rename"],
    summary: "Rename a volume; containers that use it follow",
    load: () => import("./commands/volume-rename.ts"),
  },
  {
    names: ["volume rm", "volume remove"],
    summary: "Remove one or more volumes",
    load: () => import("./commands/volume-rm.ts"),
  },
];

/** Words that open a group of commands. */
export const GROUPS: Readonly<Record<string, string>> = {
  completion: "Generate the autocompletion script for a shell",
  container: "Manage containers",
  image: "Manage images",
  manifest: "Look at image manifests and manifest lists",
  system: "Manage Sampan",
  network: "Manage networks",
  volume: "Manage volumes",
};
