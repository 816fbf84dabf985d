/** The tables. A migration is appended, never changed: `user_version` counts those that were applied. */

export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE images (
    id      TEXT PRIMARY KEY,              -- sha256:… of the config
    config  TEXT NOT NULL,                 -- the config's bytes as they came
    manifest TEXT NOT NULL,                -- digest of its manifest in blobs/
    created INTEGER NOT NULL,              -- ms since 1970
    size    INTEGER NOT NULL,              -- bytes, unpacked
    used    INTEGER NOT NULL               -- ms since 1970, last use
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE tags (
    reference TEXT PRIMARY KEY,            -- docker.io/library/alpine:3.22, or name@sha256:…
    image     TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX tags_image ON tags(image);
  CREATE TABLE layers (
    chain   TEXT PRIMARY KEY,              -- chain id, hex: the name of its folder in layers/
    diff    TEXT NOT NULL,                 -- diffID, sha256:…
    blob    TEXT NOT NULL,                 -- digest of the blob it came from
    size    INTEGER NOT NULL               -- bytes, unpacked
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE image_layers (
    image    TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE,
    position INTEGER NOT NULL,             -- 0 is the lowest
    chain    TEXT NOT NULL REFERENCES layers(chain),
    PRIMARY KEY (image, position)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX image_layers_chain ON image_layers(chain);
  CREATE TABLE containers (
    id      TEXT PRIMARY KEY,              -- 64 hex digits
    name    TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL,              -- ms since 1970
    image   TEXT NOT NULL,                 -- image id, or '' with --rootfs
    record  TEXT NOT NULL,                 -- JSON: what was asked for, resolved against the image
    state   TEXT NOT NULL                  -- JSON: what the engine last saw; the kernel and the exit record know better
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX containers_image ON containers(image);
  `,
  `
  CREATE TABLE networks (
    id      TEXT PRIMARY KEY,              -- 64 hex digits
    name    TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL,              -- ms since 1970
    record  TEXT NOT NULL                  -- JSON: driver, subnets, options, labels
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE endpoints (
    container TEXT NOT NULL REFERENCES containers(id) ON DELETE CASCADE,
    network   TEXT NOT NULL REFERENCES networks(id),
    position  INTEGER NOT NULL,            -- in the order in which they were asked for
    asked     TEXT NOT NULL,               -- JSON: aliases, fixed addresses, links
    active    INTEGER NOT NULL,            -- 1: its container runs, or is about to
    interface TEXT,                        -- eth0, while it is active
    ipv4      TEXT,                        -- while it is active; a fixed one from the beginning
    ipv6      TEXT,
    mac       TEXT,
    PRIMARY KEY (container, network),
    UNIQUE (network, ipv4),
    UNIQUE (network, ipv6)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE ports (
    protocol  TEXT NOT NULL,               -- tcp, udp or sctp
    address   TEXT NOT NULL,               -- of the host: 0.0.0.0, ::, or one of its own
    port      INTEGER NOT NULL,            -- of the host
    container TEXT NOT NULL REFERENCES containers(id) ON DELETE CASCADE,
    target    INTEGER NOT NULL,            -- of the container
    destination TEXT NOT NULL,             -- the container's address that it leads to
    planned   INTEGER NOT NULL,            -- 1: the keeper's own plan makes and removes it
    PRIMARY KEY (protocol, address, port)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX ports_container ON ports(container);
  `,
  `
  CREATE TABLE ended (                     -- the last containers that were removed, for explain
    number  INTEGER PRIMARY KEY,           -- the order in which they went
    id      TEXT NOT NULL,                 -- this and the next five as in containers
    name    TEXT NOT NULL,
    created INTEGER NOT NULL,
    image   TEXT NOT NULL,
    record  TEXT NOT NULL,
    state   TEXT NOT NULL,
    exit    TEXT NOT NULL,                 -- the keeper's exit record; '': there was none
    log     BLOB NOT NULL                  -- the end of its log, in the log driver's format
  ) STRICT;
  `,
  `
  CREATE TABLE volumes (
    name    TEXT PRIMARY KEY,              -- its folder in volumes/ has the same, or the one in \`moving\`
    created INTEGER NOT NULL,              -- ms since 1970
    record  TEXT NOT NULL,                 -- JSON: labels and the driver's options
    moving  TEXT NOT NULL DEFAULT ''       -- the folder's name before a rename that has not moved it yet
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE container_volumes (
    container TEXT NOT NULL REFERENCES containers(id) ON DELETE CASCADE,
    volume    TEXT NOT NULL REFERENCES volumes(name) ON UPDATE CASCADE,
    PRIMARY KEY (container, volume)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX container_volumes_volume ON container_volumes(volume);
  `,
  `
  -- An image with a container is used; without, since the last one went.
  CREATE TRIGGER image_used AFTER DELETE ON containers WHEN OLD.image <> '' BEGIN
    UPDATE images SET used = CAST(unixepoch('subsec') * 1000 AS INTEGER) WHERE id = OLD.image;
  END;
  `,
  `
  CREATE TABLE container_images (          -- images that a container has mounted, beside the one that it is made of
    container TEXT NOT NULL REFERENCES containers(id) ON DELETE CASCADE,
    image     TEXT NOT NULL REFERENCES images(id),
    PRIMARY KEY (container, image)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX container_images_image ON container_images(image);
  `,
  `
  CREATE TABLE sent (                      -- as what layers that are kept uncompressed go to registries
    blob    TEXT PRIMARY KEY,              -- digest of the layer as it is kept, which is its diffID
    digest  TEXT NOT NULL,                 -- of the blob that goes out: compressed, or the same if a registry has it so
    size    INTEGER NOT NULL               -- bytes of that
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- 1: taken away by force, and nobody finds it; but a container needs its layers, and the row goes with the last of these.
  ALTER TABLE images ADD COLUMN removed INTEGER NOT NULL DEFAULT 0;
  CREATE TRIGGER image_removed AFTER DELETE ON containers WHEN OLD.image <> '' BEGIN
    DELETE FROM images WHERE id = OLD.image AND removed = 1
      AND NOT EXISTS (SELECT 1 FROM containers WHERE image = OLD.image)
      AND NOT EXISTS (SELECT 1 FROM container_images WHERE image = OLD.image);
  END;
  CREATE TRIGGER mounted_image_removed AFTER DELETE ON container_images BEGIN
    DELETE FROM images WHERE id = OLD.image AND removed = 1
      AND NOT EXISTS (SELECT 1 FROM containers WHERE image = OLD.image)
      AND NOT EXISTS (SELECT 1 FROM container_images WHERE image = OLD.image);
  END;
  `,
];
