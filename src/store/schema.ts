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
];
