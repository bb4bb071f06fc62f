-- SPDX-License-Identifier: Apache-2.0
-- A step is given up only when it has failed often and for long. failing_since_ms: its first failure; counts while attempts > 0.
ALTER TABLE job ADD COLUMN IF NOT EXISTS failing_since_ms BIGINT NOT NULL DEFAULT 0 AFTER attempts;
ALTER TABLE job_chunk ADD COLUMN IF NOT EXISTS failing_since_ms BIGINT NOT NULL DEFAULT 0 AFTER attempts;
