-- The registry, schema version 2 (schema.py). Every change of a job's row takes the next number of
-- counter.rev, so a reader asks for "rev > the last I saw".

CREATE TABLE counter (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO counter VALUES ('rev', 0), ('start_order', 0);

CREATE TABLE jobs (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id          TEXT NOT NULL UNIQUE,
    command         TEXT NOT NULL,
    job_type        TEXT NOT NULL,
    status          TEXT NOT NULL
        CHECK (status IN ('pending', 'running', 'completed', 'failed', 'stopped', 'deleted')),
    rev             INTEGER NOT NULL,
    start_order     INTEGER,                    -- NULL: added, not started
    stop_requested  INTEGER NOT NULL DEFAULT 0,
    attempt         INTEGER NOT NULL DEFAULT 1 CHECK (attempt <= max_attempts),
    false_starts    INTEGER NOT NULL DEFAULT 0, -- workers in a row that died before user code
    run_id          TEXT,                       -- the latest run; its folder holds the logs
    progress        REAL NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
    description     TEXT NOT NULL DEFAULT '',
    error_code      TEXT,
    error_message   TEXT,
    exit_code       INTEGER,
    signal          TEXT,
    created_at      REAL NOT NULL,              -- wall seconds, as all times here
    started_at      REAL,
    finished_at     REAL,
    updated_at      REAL NOT NULL,
    kept_since      REAL,                       -- when its retention began, in steady seconds
                                                -- (jobs/steady.py); NULL until it has ended
    reason          TEXT,                       -- of a deletion
    timeout         REAL,                       -- seconds of running; NULL: none
    max_attempts    INTEGER NOT NULL DEFAULT 1,
    memory_limit    INTEGER,                    -- bytes that its processes may use; NULL: no limit
    not_before      REAL,                       -- monotonic seconds of the boot named beside it
    not_before_boot TEXT,                       -- at which the next attempt is due; NULL: now
    result_size     INTEGER,                    -- bytes of JSON; NULL: no result
    result          TEXT,                       -- NULL with a size: in the run's result.json
    artifacts       INTEGER NOT NULL DEFAULT 0, -- rows of the table that belong to run_id
    params          TEXT NOT NULL,
    call            TEXT NOT NULL,              -- how a worker finds and calls the command
    origin          TEXT,                       -- the submitting server's interpreter, folder and
                                                -- environment; NULL once the job has ended
    seal            TEXT,                       -- jobs/seals.py; NULL once the job has ended
    CHECK ((finished_at IS NULL) = (status IN ('pending', 'running'))),
    CHECK ((kept_since IS NULL) = (finished_at IS NULL))
);
CREATE INDEX jobs_by_rev ON jobs (rev);
CREATE INDEX jobs_by_status ON jobs (status, seq);
CREATE INDEX jobs_by_run ON jobs (run_id);
-- The status leads, though it is always the same: else the planner takes jobs_by_status and sorts.
CREATE INDEX jobs_waiting ON jobs (status, start_order) WHERE status = 'pending';
CREATE INDEX jobs_shown ON jobs (seq) WHERE status <> 'deleted';
CREATE INDEX jobs_kept ON jobs (kept_since) WHERE kept_since IS NOT NULL;
CREATE INDEX jobs_not_ended ON jobs (seq) WHERE finished_at IS NULL;
CREATE INDEX jobs_not_ended_by_type ON jobs (job_type, seq) WHERE finished_at IS NULL;
CREATE INDEX jobs_resting ON jobs (status, not_before) WHERE not_before IS NOT NULL;
CREATE INDEX jobs_to_stop ON jobs (seq) WHERE stop_requested AND status = 'running';

CREATE TABLE runs (
    run_id        TEXT PRIMARY KEY,
    seq           INTEGER NOT NULL,             -- the job's
    attempt       INTEGER NOT NULL,
    boot          TEXT NOT NULL,                -- of the machine, in which it was claimed
    began         REAL NOT NULL,                -- monotonic seconds of that boot
    identity      TEXT,                         -- of the worker; NULL until its spawn is recorded
    started       INTEGER NOT NULL DEFAULT 0,   -- the worker said so: user code may have run
    events_offset INTEGER NOT NULL DEFAULT 0,   -- bytes of events.jsonl that are settled here
    seal          TEXT                          -- jobs/seals.py, of the identity
) WITHOUT ROWID;                                -- a row as long as a process of it may live

-- What running jobs ask the person. An answer stays until its job has ended, so that a second one is
-- told; a question that nobody waits for any more goes.
CREATE TABLE questions (
    id        INTEGER PRIMARY KEY,
    seq       INTEGER NOT NULL,                 -- the job's
    run_id    TEXT NOT NULL,
    key       TEXT NOT NULL,                    -- a<attempt>.q<n>.<key>, never used twice in a job
    message   TEXT NOT NULL,
    schema    TEXT NOT NULL,                    -- of the form, JSON (forms.py)
    person    INTEGER NOT NULL DEFAULT 0,       -- no tool call answers it
    asked_at  REAL NOT NULL,
    action    TEXT CHECK (action IN ('accept', 'decline', 'cancel')),   -- NULL: open
    content   TEXT,                             -- the values, JSON, when accepted
    delivered INTEGER NOT NULL DEFAULT 0,       -- the answer stands in the run's control.jsonl
    UNIQUE (seq, key)
);
CREATE INDEX questions_to_deliver ON questions (id) WHERE action IS NOT NULL AND NOT delivered;

CREATE TRIGGER questions_end_with_the_run AFTER UPDATE OF status ON jobs
WHEN OLD.status = 'running' AND NEW.status <> 'running' BEGIN
    DELETE FROM questions WHERE seq = NEW.seq;
END;

CREATE TABLE servers (
    server_id TEXT PRIMARY KEY,
    identity  TEXT NOT NULL,
    bell      TEXT NOT NULL,
    leaving   INTEGER NOT NULL DEFAULT 0,
    version   TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE supervisor (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    identity   TEXT NOT NULL,
    version    TEXT NOT NULL,
    started_at REAL NOT NULL
);

CREATE TABLE settings (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    value TEXT NOT NULL
);

-- A clock that nobody can set: at `monotonic` of the boot `boot` it showed `seconds`.
CREATE TABLE steady (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    boot      TEXT NOT NULL,
    monotonic REAL NOT NULL,
    seconds   REAL NOT NULL
);

-- Totals by status, kept by the triggers below so that no count walks the jobs.
CREATE TABLE totals (
    status TEXT PRIMARY KEY,
    n      INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO totals VALUES
    ('pending', 0), ('running', 0), ('completed', 0), ('failed', 0), ('stopped', 0), ('deleted', 0);

CREATE TRIGGER jobs_counted_in AFTER INSERT ON jobs BEGIN
    UPDATE totals SET n = n + 1 WHERE status = NEW.status;
END;
CREATE TRIGGER jobs_counted_over AFTER UPDATE OF status ON jobs WHEN NEW.status <> OLD.status BEGIN
    UPDATE totals SET n = n - 1 WHERE status = OLD.status;
    UPDATE totals SET n = n + 1 WHERE status = NEW.status;
END;
CREATE TRIGGER jobs_counted_out AFTER DELETE ON jobs BEGIN
    UPDATE totals SET n = n - 1 WHERE status = OLD.status;
END;

-- The jobs of each type that have not ended, for the limits.
CREATE TABLE not_ended (
    job_type TEXT PRIMARY KEY,
    n        INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TRIGGER jobs_of_type_in AFTER INSERT ON jobs WHEN NEW.finished_at IS NULL BEGIN
    INSERT INTO not_ended VALUES (NEW.job_type, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER jobs_of_type_out AFTER UPDATE OF finished_at ON jobs
WHEN OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL BEGIN
    UPDATE not_ended SET n = n - 1 WHERE job_type = OLD.job_type;
END;

-- What the latest run of a job keeps: artifacts, and the contents that its result shows.
CREATE TABLE artifacts (
    id          INTEGER PRIMARY KEY,            -- in the order of keeping
    run_id      TEXT NOT NULL,
    name        TEXT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('file', 'image', 'audio', 'link')),
    place       INTEGER,                        -- in the result; NULL: kept by job.artifact
    mime_type   TEXT,
    title       TEXT,
    description TEXT,
    uri         TEXT,                           -- of a link, which has no file
    file        TEXT,                           -- in the run's folder; random, never the name
    size        INTEGER,                        -- bytes of the file
    UNIQUE (run_id, name),
    CHECK ((kind = 'link') = (file IS NULL))
);

CREATE TRIGGER artifacts_of_run_over AFTER UPDATE OF run_id ON jobs
WHEN OLD.artifacts > 0 AND NEW.run_id IS NOT OLD.run_id BEGIN
    DELETE FROM artifacts WHERE run_id = OLD.run_id;
    UPDATE jobs SET artifacts = 0 WHERE seq = NEW.seq;
END;
CREATE TRIGGER artifacts_of_deleted AFTER UPDATE OF status ON jobs
WHEN OLD.artifacts > 0 AND NEW.status = 'deleted' BEGIN
    DELETE FROM artifacts WHERE run_id = OLD.run_id;
    UPDATE jobs SET artifacts = 0 WHERE seq = NEW.seq;
END;
CREATE TRIGGER artifacts_of_forgotten AFTER DELETE ON jobs WHEN OLD.artifacts > 0 BEGIN
    DELETE FROM artifacts WHERE run_id = OLD.run_id;
END;
