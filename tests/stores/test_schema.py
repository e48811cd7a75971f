"""database/schema.sql under psql: on an empty project, over the first NADG's tables with rows, and over itself."""

from __future__ import annotations

import pytest

from tests.supabase.server import OPEN_GRANTS, SCHEMA

pytestmark = pytest.mark.xdist_group("supabase")

SEED = """
create table worker_nodes (
    id serial primary key,
    vm_url text unique not null,
    status text default 'active',
    total_tasks integer default 0,
    last_ping timestamp with time zone default now()
);
create table task_history (
    id serial primary key,
    worker_id integer references worker_nodes(id),
    task_description text not null,
    status text default 'pending',
    created_at timestamp with time zone default now(),
    completed_at timestamp with time zone
);
insert into worker_nodes (vm_url, status) values ('https://old.hf.space', 'active'), ('https://odd.hf.space', 'broken');
insert into task_history (worker_id, task_description, status, completed_at) values
    (1, 'old task', 'completed', now()), (1, 'odd task', 'some other state', null), (2, 'open task', 'pending', null);
"""
SHAPE = """
select table_name, column_name, data_type, is_nullable from information_schema.columns
    where table_schema = 'public' order by 1, 2;
select conname, pg_get_constraintdef(oid) from pg_constraint where connamespace = 'public'::regnamespace order by 1;
select indexname, indexdef from pg_indexes where schemaname = 'public' order by 1;
select proname, pg_get_functiondef(oid), proacl from pg_proc where pronamespace = 'public'::regnamespace order by 1, 2;
select relname, relacl, relrowsecurity from pg_class where relnamespace = 'public'::regnamespace order by 1;
select tablename, policyname, roles, qual from pg_policies order by 1;
"""
TABLES = ["worker_nodes", "task_history", "nadg_runs", "nadg_plans", "nadg_edits", "nadg_events", "nadg_subtasks"]
TABLES += ["nadg_shards", "nadg_cache", "nadg_health"]
VIEWS = ["nadg_frame_history", "nadg_frame_attempts", "nadg_frame_runs", "nadg_frame_summary"]


@pytest.fixture
def schema():
    return SCHEMA.read_text("utf-8")


@pytest.fixture(params=["closed", "open"])
def grants(request):
    """Projects made before October 2026 give everything to everyone by default."""
    return OPEN_GRANTS if request.param == "open" else ""


def test_on_an_empty_project_and_again(project, schema, grants):
    run = project.another("empty")
    run(grants)
    run(schema)
    shape = run(SHAPE)
    assert "nadg_append" in shape
    run(schema)
    assert run(SHAPE) == shape


def test_over_the_first_tables_with_rows(project, schema, grants):
    run = project.another("seeded")
    run(grants + SEED)
    before = run("select id, vm_url, status, total_tasks from worker_nodes order by id")
    tasks = run("select id, worker_id, task_description, status from task_history order by id")
    for _ in range(2):
        run(schema)
        assert run("select id, vm_url, status, total_tasks from worker_nodes order by id") == before
        assert run("select id, worker_id, task_description, status from task_history order by id") == tasks
    assert run("select name from worker_nodes order by id") == "node-1\nnode-2"


def test_the_first_queries_work_as_written(project, schema):
    run = project.another("queries")
    run(SEED + schema)
    run("INSERT INTO worker_nodes (vm_url) \nVALUES ('https://your-worker-space.hf.space');")
    run("INSERT INTO worker_nodes (vm_url, status) \nVALUES ('https://worker-url.hf.space', 'active');")
    found = run("SELECT * FROM worker_nodes \nWHERE status = 'active' \nORDER BY last_ping DESC;")
    assert found.count("hf.space") == 3
    assert run("select name from worker_nodes where id = 4") == "node-4"
    run("DELETE FROM worker_nodes WHERE id = 1;")
    assert run("select count(*) from worker_nodes") == "3"
    assert run("select count(*), count(worker_id) from task_history") == "3|1", "history stays"
    run("insert into task_history (worker_id, task_description) values (2, 'new');")
    run("update task_history set status = 'completed', completed_at = now() where task_description = 'open task';")
    run("update task_history set status = 'anything' where task_description = 'odd task';")
    done = run("select task_description from task_history where status = 'completed' order by id")
    assert done == "old task\nopen task"


def test_rows_of_runs_are_checked(project, schema):
    run = project.another("checked")
    run(schema)
    run(
        "insert into nadg_runs (run_id, command, state, plan_digest, epoch, created_at)"
        " values ('r', 'c', 'running', 'd', 1, now());"
    )
    row = "insert into task_history (run_id, subtask, shard, attempt_id, task_description, status, outcome) values "
    run(row + "('r', 's', 0, 'a', 't', 'completed', 'succeeded');")
    for bad in ("('r', 's', 0, 'b', 't', 'done', null)", "('r', null, 0, 'b', 't', 'pending', null)"):
        assert "task_history_ours" in run(row + bad, check=False).stderr
    assert "check constraint" in run("update nadg_runs set state = 'done'", check=False).stderr
    assert "duplicate key" in run(row + "('r', 's', 0, 'a', 't', 'pending', null)", check=False).stderr


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_others_are_refused_everything(project, schema, grants, role):
    run = project.another("closed")
    run(grants + SEED + schema)
    as_them = f"set role {role};\n\\set VERBOSITY verbose\n"
    attempts = [f"select * from public.{table}" for table in TABLES + VIEWS]
    attempts += [f"delete from public.{table}" for table in TABLES]
    attempts += ["insert into public.worker_nodes (vm_url) values ('https://rogue.example')"]
    attempts += ["select public.nadg_workers()", "select public.nadg_beat('r', 1, now())"]
    attempts += ["select nextval('public.worker_nodes_id_seq')", "truncate public.task_history"]
    for attempt in attempts:
        done = run(as_them + attempt, check=False)
        assert "42501" in done.stderr, attempt


def test_everything_says_what_it_is(project, schema):
    run = project.another("comments")
    run(schema)
    silent = """
    select relname from pg_class c where relnamespace = 'public'::regnamespace and relkind in ('r', 'v')
        and obj_description(oid, 'pg_class') is null
    union all select proname from pg_proc where pronamespace = 'public'::regnamespace
        and obj_description(oid, 'pg_proc') is null
    """
    assert run(silent) == ""


def test_a_large_history_is_read_by_its_indexes(project, schema):
    run = project.another("large")
    run(schema)
    run("""
    insert into nadg_runs (run_id, command, state, plan_digest, epoch, created_at)
        select 'r' || n, 'c', 'succeeded', 'd', 1, now() - n * interval '1 minute' from generate_series(1, 200) n;
    insert into task_history (run_id, subtask, shard, attempt_id, task_description, status, outcome, worker, seconds,
            created_at, completed_at)
        select 'r' || (n % 200 + 1), 's', n, 'a' || n, 't', 'completed', 'succeeded', 'w' || n % 20, 1,
            now() - n * interval '1 second', now() from generate_series(1, 50000) n;
    analyze;
    """)
    plans = {
        'select * from nadg_frame_attempts order by sort_at desc, sort_id collate "C" limit 1000': "task_history_time",
        "select * from nadg_frame_attempts where run_id = 'r7'": "task_history_once",
        "select * from nadg_frame_attempts where worker = 'w3' and run_id = 'r4'": "Index",
        "select * from nadg_runs where state = 'running' order by created_at desc": "nadg_runs_unfinished",
    }
    for query, index in plans.items():
        assert index in run(f"explain {query}"), query
