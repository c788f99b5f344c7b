"""The jobs of a shared run as rows in PostgreSQL: which process trains each of them, and their events.

The run's leader inserts jobs and reads events. Lenders are processes that train: each takes waiting jobs, with ``FOR
UPDATE SKIP LOCKED``, and writes their events. A lender whose last sign of life is older than LEASE_SECONDS, by the
server's clock, counts as dead; by then, it has killed its own trainings. NOTIFY wakes either side.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from automl.study.postgres import alone, connected, leader_pid, reachable

if TYPE_CHECKING:
    from sqlalchemy import Connection, CursorResult, Engine

LEASE_SECONDS = 10.0
TABLES = """
CREATE TABLE IF NOT EXISTS automl_lenders (
    id bigserial PRIMARY KEY,
    study integer NOT NULL REFERENCES studies (study_id) ON DELETE CASCADE,
    host text NOT NULL,
    pid integer NOT NULL,
    n_workers integer NOT NULL,
    backend integer,
    seen timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE IF NOT EXISTS automl_jobs (
    id bigserial PRIMARY KEY,
    study integer NOT NULL REFERENCES studies (study_id) ON DELETE CASCADE,
    key integer NOT NULL,
    content text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'ended', 'dropped')),
    lender bigint,
    stop boolean NOT NULL DEFAULT false
);
CREATE INDEX IF NOT EXISTS automl_jobs_of_study ON automl_jobs (study, state);
CREATE TABLE IF NOT EXISTS automl_events (
    job bigint NOT NULL REFERENCES automl_jobs (id) ON DELETE CASCADE,
    number integer NOT NULL,
    content text NOT NULL,
    PRIMARY KEY (job, number)
);
"""


def make_tables(url: str) -> None:
    """Create missing tables."""
    with reachable(url), alone(url) as connection:
        for statement in TABLES.split(";"):
            if statement.strip():
                connection.exec_driver_sql(statement)
        connection.commit()


class JobTable:
    """The jobs of one run, over one connection, for a single thread."""

    def __init__(self, engine: Engine, study_id: int) -> None:
        self._engine, self._study_id = engine, study_id

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """A transaction. ConnectionLost if the server is gone."""
        with connected(), self._engine.begin() as connection:
            yield connection

    def _run(self, connection: Connection, statement: str, **values: Any) -> CursorResult[Any]:
        from sqlalchemy import text

        return connection.execute(text(statement), {"study": self._study_id, **values})

    # Both sides

    def listen(self, side: str) -> None:
        """Subscribe to notifications for ``leader`` or ``lenders``."""
        with self._connected() as connection:
            connection.exec_driver_sql(f"LISTEN {self._channel(side)}")

    def woken(self, seconds: float) -> bool:
        """Wait for a notification, at most this many seconds; returns whether one arrived."""
        with self._connected() as connection:
            driver: Any = connection.connection.driver_connection
            return bool(list(driver.notifies(timeout=seconds, stop_after=1)))

    def _channel(self, side: str) -> str:
        return f"automl_{self._study_id}_{side}"

    def _wake(self, connection: Connection, side: str) -> None:
        self._run(connection, "SELECT pg_notify(:channel, '')", channel=self._channel(side))

    # The leader

    def jobs(self) -> list[tuple[int, int, str]]:
        """Id, key and content of all jobs."""
        with self._connected() as connection:
            rows = self._run(connection, "SELECT id, key, content FROM automl_jobs WHERE study = :study")
            return [(row.id, row.key, row.content) for row in rows]

    def put(self, key: int, content: str) -> int:
        """Insert a waiting job; returns its id."""
        with self._connected() as connection:
            new = "INSERT INTO automl_jobs (study, key, content) VALUES (:study, :key, :content) RETURNING id"
            job: int = self._run(connection, new, key=key, content=content).scalar_one()
            self._wake(connection, "lenders")
        return job

    def stop(self, job: int) -> None:
        """Request that a job end after its current epoch."""
        with self._connected() as connection:
            self._run(connection, "UPDATE automl_jobs SET stop = true WHERE id = :job", job=job)
            self._wake(connection, "lenders")

    def remove(self, jobs: Sequence[int]) -> None:
        """Delete ended jobs and their events."""
        if jobs:
            with self._connected() as connection:
                self._run(connection, "DELETE FROM automl_jobs WHERE id = ANY(:jobs)", jobs=list(jobs))

    def drop(self, jobs: Sequence[int]) -> None:
        """Delete jobs; running ones stay as dropped until their lenders have ended them."""
        if jobs:
            with self._connected() as connection:
                delete = "DELETE FROM automl_jobs WHERE id = ANY(:jobs) AND state IN ('waiting', 'ended')"
                self._run(connection, delete, jobs=list(jobs))
                update = "UPDATE automl_jobs SET state = 'dropped' WHERE id = ANY(:jobs) AND state = 'running'"
                self._run(connection, update, jobs=list(jobs))
                self._wake(connection, "lenders")

    def n_dropped(self) -> int:
        """The number of dropped jobs that lenders have not yet ended."""
        with self._connected() as connection:
            query = "SELECT count(*) FROM automl_jobs WHERE study = :study AND state = 'dropped'"
            n: int = self._run(connection, query).scalar_one()
            return n

    def events(self, known: Mapping[int, int]) -> list[tuple[int, int, str]]:
        """Job, number and content of new events. ``known``: the number of the last known event, by job."""
        query = (
            "SELECT e.job, e.number, e.content FROM automl_events e "
            "JOIN unnest(cast(:jobs AS bigint[]), cast(:numbers AS integer[])) AS known (job, number) "
            "ON e.job = known.job AND e.number > known.number ORDER BY e.job, e.number"
        )
        with self._connected() as connection:
            rows = self._run(connection, query, jobs=list(known), numbers=list(known.values()))
            return [(row.job, row.number, row.content) for row in rows]

    def n_workers(self) -> int:
        """The number of workers of all lenders that are alive."""
        with self._connected() as connection:
            query = "SELECT coalesce(sum(n_workers), 0) FROM automl_lenders WHERE study = :study"
            n: int = self._run(connection, query).scalar_one()
            return n

    def has_others(self, lender: int) -> bool:
        """Whether another lender is alive."""
        with self._connected() as connection:
            query = (
                "SELECT count(*) FROM automl_lenders WHERE study = :study AND id <> :lender "
                "AND seen >= clock_timestamp() - make_interval(secs => :lease)"
            )
            n: int = self._run(connection, query, lender=lender, lease=LEASE_SECONDS).scalar_one()
            return n > 0

    def lead(self, lender: int) -> None:
        """Record that a lender's process leads the run over this connection."""
        with self._connected() as connection:
            update = "UPDATE automl_lenders SET backend = pg_backend_pid() WHERE id = :lender"
            self._run(connection, update, lender=lender)

    def disconnect_leader(self, name: str) -> None:
        """End the connection of a leader that gives no sign of life: its process is suspended or unreachable."""
        with self._connected() as connection:
            query = (
                "SELECT pg_terminate_backend(backend) FROM automl_lenders WHERE study = :study AND backend = :leader "
                "AND seen < clock_timestamp() - make_interval(secs => :lease)"
            )
            self._run(connection, query, leader=leader_pid(connection, name), lease=LEASE_SECONDS)

    def remove_dead_lenders(self) -> list[tuple[int, str]]:
        """Delete dead lenders and the jobs that they trained; returns the id and host of these jobs."""
        with self._connected() as connection:
            dead = self._run(
                connection,
                "DELETE FROM automl_lenders WHERE study = :study "
                "AND seen < clock_timestamp() - make_interval(secs => :lease) RETURNING id, host",
                lease=LEASE_SECONDS,
            ).all()
            hosts = {row.id: row.host for row in dead}
            lost = self._run(
                connection,
                "DELETE FROM automl_jobs j WHERE study = :study AND state IN ('running', 'dropped') AND NOT EXISTS "
                "(SELECT FROM automl_lenders l WHERE l.id = j.lender) RETURNING id, lender",
            ).all()
            return [(row.id, hosts.get(row.lender, "another machine")) for row in lost]

    # A lender

    def join(self, n_workers: int) -> int:
        """Register this process as a lender; returns its id."""
        with self._connected() as connection:
            new = (
                "INSERT INTO automl_lenders (study, host, pid, n_workers) VALUES (:study, :host, :pid, :n) RETURNING id"
            )
            facts = {"host": socket.gethostname(), "pid": os.getpid(), "n": n_workers}
            lender: int = self._run(connection, new, **facts).scalar_one()
            self._wake(connection, "leader")
        return lender

    def leave(self, lender: int) -> None:
        """Unregister this process."""
        with self._connected() as connection:
            self._run(connection, "DELETE FROM automl_lenders WHERE id = :lender", lender=lender)
            self._wake(connection, "leader")

    def heartbeat(self, lender: int) -> bool:
        """Renew the lease for another LEASE_SECONDS; returns False if this process already counts as dead."""
        with self._connected() as connection:
            update = "UPDATE automl_lenders SET seen = clock_timestamp() WHERE id = :lender"
            return self._run(connection, update, lender=lender).rowcount == 1

    def mine(self, lender: int) -> dict[int, bool]:
        """The jobs assigned to a lender, and whether each is to stop."""
        with self._connected() as connection:
            query = "SELECT id, stop FROM automl_jobs WHERE lender = :lender AND state = 'running'"
            return {row.id: row.stop for row in self._run(connection, query, lender=lender)}

    def take(self, lender: int, most: int) -> list[tuple[int, str]]:
        """Take at most ``most`` waiting jobs; returns their ids and contents."""
        with self._connected() as connection:
            rows = self._run(
                connection,
                # Materialized, as PostgreSQL may otherwise run the selection, with its limit, more than once.
                "WITH next AS MATERIALIZED (SELECT id FROM automl_jobs WHERE study = :study AND state = 'waiting' "
                "ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED) UPDATE automl_jobs SET state = 'running', "
                "lender = :lender WHERE id IN (SELECT id FROM next) RETURNING id, content",
                lender=lender,
                most=most,
            )
            return sorted((row.id, row.content) for row in rows)

    def put_back(self, lender: int, jobs: Sequence[int]) -> None:
        """Return jobs that a lender has not started to the queue, except dropped ones."""
        with self._connected() as connection:
            update = (
                "UPDATE automl_jobs SET state = 'waiting', lender = NULL "
                "WHERE id = ANY(:jobs) AND lender = :lender AND state = 'running'"
            )
            self._run(connection, update, jobs=list(jobs), lender=lender)
            self._wake(connection, "lenders")

    def write(self, lender: int, events: Sequence[tuple[int, int, str]], ended: Sequence[int]) -> None:
        """Write events: job, number, content. Events of jobs that the lender no longer has are skipped, as are
        those already written before a connection was lost."""
        query = (
            "SELECT id FROM automl_jobs WHERE id = ANY(:jobs) AND lender = :lender AND state IN ('running', 'ended') "
            "FOR UPDATE"
        )
        new = "INSERT INTO automl_events VALUES (:job, :number, :content) ON CONFLICT DO NOTHING"
        update = "UPDATE automl_jobs SET state = 'ended' WHERE id = ANY(:jobs)"
        with self._connected() as connection:
            jobs = list({job for job, _, _ in events})
            own = set(self._run(connection, query, jobs=jobs, lender=lender).scalars())
            for job, number, content in events:
                if job in own:
                    self._run(connection, new, job=job, number=number, content=content)
            self._run(connection, update, jobs=[job for job in ended if job in own])
            self._wake(connection, "leader")

    def forget_dropped(self, lender: int, training: Sequence[int]) -> None:
        """Delete the dropped jobs of a lender, except those that it is still training."""
        with self._connected() as connection:
            delete = (
                "DELETE FROM automl_jobs WHERE lender = :lender AND state = 'dropped' AND NOT (id = ANY(:training))"
            )
            if self._run(connection, delete, lender=lender, training=list(training)).rowcount:
                self._wake(connection, "leader")
