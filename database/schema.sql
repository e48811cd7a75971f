-- NADG on Supabase: the registry of workers and the replica of all runs.
--
-- Paste it into the SQL editor, or: psql "$DATABASE_URL" -v ON_ERROR_STOP=1 -f database/schema.sql
-- It may be run at any time and any number of times: on an empty project, over the two tables that the first NADG
-- made (their rows and queries stay), and over itself. Only service_role can use what it makes.

begin;

-- Registry ------------------------------------------------------------------------------------------------------------

create table if not exists public.worker_nodes (
  id serial primary key,
  vm_url text unique not null,
  status text default 'active',
  total_tasks integer default 0,
  last_ping timestamptz default now()
);
alter table public.worker_nodes
  add column if not exists name text,
  add column if not exists generation integer not null default 1,
  add column if not exists labels jsonb not null default '[]',
  add column if not exists capacity integer not null default 1,
  add column if not exists details text not null default '{}',
  add column if not exists registered_at timestamptz not null default now();
update public.worker_nodes set name = 'node-' || id where name is null;
create unique index if not exists worker_nodes_name on public.worker_nodes (name);
create index if not exists worker_nodes_ping on public.worker_nodes (last_ping desc);

comment on table public.worker_nodes is 'Registered workers. No token is ever stored: it follows from the grid secret, the origin and the generation.';
comment on column public.worker_nodes.vm_url is 'Where the worker answers, https.';
comment on column public.worker_nodes.status is 'active, busy, asleep or offline, as of last_ping.';
comment on column public.worker_nodes.total_tasks is 'Attempts that ended there.';
comment on column public.worker_nodes.name is 'The worker''s id in NADG; node-<id> for rows that were inserted by hand.';
comment on column public.worker_nodes.generation is 'Rises with each rotation of the token.';
comment on column public.worker_nodes.capacity is 'Attempts at a time.';
comment on column public.worker_nodes.details is 'JSON: what the worker last reported of itself.';

create or replace function public.nadg_name_worker() returns trigger
language plpgsql security invoker set search_path = '' as $$
begin
  new.name := coalesce(new.name, 'node-' || new.id);
  return new;
end $$;
comment on function public.nadg_name_worker() is 'Gives a name to workers that were inserted by hand.';
drop trigger if exists nadg_name_worker on public.worker_nodes;
create trigger nadg_name_worker before insert on public.worker_nodes
  for each row execute function public.nadg_name_worker();

create table if not exists public.nadg_health (
  id bigint generated always as identity primary key,
  at timestamptz not null,
  worker text not null,
  run_id text,
  state text not null,
  capacity integer,
  latency_ms double precision,
  reason text,
  boot_id text
);
create index if not exists nadg_health_time on public.nadg_health (at desc);
create index if not exists nadg_health_worker on public.nadg_health (worker, at desc);
comment on table public.nadg_health is 'Each state that a worker was seen in, by heartbeats and by runs.';

-- Runs ----------------------------------------------------------------------------------------------------------------

create table if not exists public.nadg_runs (
  run_id text primary key,
  command text not null,
  state text not null check (state in ('running', 'paused', 'succeeded', 'failed', 'cancelled', 'interrupted')),
  state_seq bigint not null default 0,
  plan_digest text not null,
  epoch integer not null check (epoch >= 1),
  owner jsonb,
  heartbeat_at timestamptz,
  created_at timestamptz not null,
  ended_at timestamptz,
  rehearsal boolean not null default false,
  planner text,
  approved_by text,
  approved_at timestamptz,
  last_seq bigint not null default 0
);
create index if not exists nadg_runs_time on public.nadg_runs (created_at desc);
create index if not exists nadg_runs_unfinished on public.nadg_runs (created_at desc)
  where state in ('running', 'paused', 'interrupted');
comment on table public.nadg_runs is 'One row per run. Its epoch names the owner that may write; a takeover raises it.';

create table if not exists public.nadg_plans (
  run_id text not null references public.nadg_runs on delete cascade,
  revision integer not null,
  epoch integer not null,
  at timestamptz not null,
  digest text not null,
  plan text not null,
  primary key (run_id, revision)
);
comment on table public.nadg_plans is 'Every revision of a run''s plan, with draft and edit log, as the plan file''s JSON.';

create table if not exists public.nadg_edits (
  id bigint generated always as identity primary key,
  run_id text not null references public.nadg_runs on delete cascade,
  at timestamptz not null,
  by text not null,
  kind text not null,
  subtask text,
  field text not null default '',
  before text,
  after text
);
create unique index if not exists nadg_edits_once
  on public.nadg_edits (run_id, at, kind, coalesce(subtask, ''), field);
create index if not exists nadg_edits_time on public.nadg_edits (at desc);
comment on table public.nadg_edits is 'One row per changed field of an edit: what people change in a planner''s split.';

create table if not exists public.nadg_events (
  run_id text not null references public.nadg_runs on delete cascade,
  seq bigint not null check (seq >= 1),
  epoch integer not null,
  at timestamptz not null,
  type text not null,
  subtask text,
  shard integer,
  attempt_id text,
  payload text not null,
  primary key (run_id, seq)
);
comment on table public.nadg_events is 'The journal, copied from the owner''s SQLite. payload is JSON text: unlike jsonb it can hold any character.';

create table if not exists public.nadg_subtasks (
  run_id text not null references public.nadg_runs on delete cascade,
  subtask text not null,
  title text not null default '',
  kind text not null default 'python',
  position integer not null default 0,
  created_at timestamptz not null,
  state text not null default 'waiting' check (state in (
    'waiting', 'held', 'ready', 'running', 'succeeded', 'cached', 'failed', 'skipped', 'cancelled')),
  state_seq bigint not null default 0,
  outcome text,
  worker text,
  started_at timestamptz,
  ended_at timestamptz,
  attempts integer not null default 0,
  attempt_seq bigint not null default 0,
  shards integer,
  error text,
  reason text,
  primary key (run_id, subtask)
);
create index if not exists nadg_subtasks_time on public.nadg_subtasks (created_at desc);
comment on table public.nadg_subtasks is 'What the events of a run add up to, by subtask.';

create table if not exists public.nadg_shards (
  run_id text not null references public.nadg_runs on delete cascade,
  subtask text not null,
  shard integer not null check (shard >= 0),
  state text not null,
  state_seq bigint not null default 0,
  outcome text,
  worker text,
  attempt_id text,
  attempts integer not null default 0,
  started_at timestamptz,
  ended_at timestamptz,
  error text,
  primary key (run_id, subtask, shard)
);
comment on table public.nadg_shards is 'What the events of a run add up to, by shard, the unit of dispatch.';

create table if not exists public.nadg_cache (
  key text primary key,
  run_id text not null,
  seq bigint not null,
  at timestamptz not null,
  foreign key (run_id, seq) references public.nadg_events on delete cascade
);
create index if not exists nadg_cache_run on public.nadg_cache (run_id, seq);
comment on table public.nadg_cache is 'Cache key to the event that holds the newest successful result.';

-- Attempts, in the table that the first NADG kept its tasks in ----------------------------------------------------------

create table if not exists public.task_history (
  id bigserial primary key,
  worker_id integer references public.worker_nodes (id) on delete set null,
  task_description text not null,
  status text default 'pending',
  created_at timestamptz default now(),
  completed_at timestamptz
);
alter table public.task_history
  add column if not exists run_id text references public.nadg_runs on delete cascade,
  add column if not exists subtask text,
  add column if not exists shard integer,
  add column if not exists attempt_id text,
  add column if not exists number integer,
  add column if not exists worker text,
  add column if not exists outcome text,
  add column if not exists started_at timestamptz,
  add column if not exists seconds double precision,
  add column if not exists error text,
  add column if not exists memory_mb double precision,
  add column if not exists cpu_s double precision,
  add column if not exists prompt_tokens bigint,
  add column if not exists output_tokens bigint,
  add column if not exists cache_key text,
  add column if not exists boot_id text;

-- An older foreign key would keep a worker with history from being deleted.
do $$
declare old record;
begin
  for old in
    select conname from pg_catalog.pg_constraint
    where conrelid = 'public.task_history'::regclass and confrelid = 'public.worker_nodes'::regclass
      and contype = 'f' and confdeltype <> 'n'
  loop
    execute format('alter table public.task_history drop constraint %I', old.conname);
  end loop;
  if not exists (
    select from pg_catalog.pg_constraint
    where conrelid = 'public.task_history'::regclass and confrelid = 'public.worker_nodes'::regclass and contype = 'f'
  ) then
    alter table public.task_history add constraint task_history_worker
      foreign key (worker_id) references public.worker_nodes (id) on delete set null not valid;
  end if;
  -- Rows without a run are not ours: they keep whatever state they have.
  alter table public.task_history drop constraint if exists task_history_ours;
  alter table public.task_history add constraint task_history_ours check (
    run_id is null or (
      subtask is not null and shard is not null and attempt_id is not null
      and status in ('pending', 'running', 'completed', 'failed', 'timed_out', 'cancelled')
      and (outcome is null or outcome in ('succeeded', 'failed', 'timed_out', 'cancelled', 'rejected', 'lost'))
    )
  ) not valid;
end $$;
create unique index if not exists task_history_once on public.task_history (run_id, subtask, shard, attempt_id);
create index if not exists task_history_time on public.task_history (created_at desc);
create index if not exists task_history_by_worker on public.task_history (worker, created_at desc);
create index if not exists task_history_by_node on public.task_history (worker_id, id desc);
create index if not exists task_history_summary on public.task_history (completed_at, worker, outcome)
  include (seconds) where run_id is not null and outcome is not null;

comment on table public.task_history is 'One row per attempt, and the tasks of the first NADG (those without a run_id).';
comment on column public.task_history.worker_id is 'The worker''s row; null once that is deleted. worker keeps its name.';
comment on column public.task_history.status is 'pending, running, completed, failed, timed_out or cancelled; outcome says it exactly.';
comment on column public.task_history.outcome is 'succeeded, failed, timed_out, cancelled, rejected or lost; null while it is open.';
comment on column public.task_history.created_at is 'When the attempt was decided on.';
comment on column public.task_history.completed_at is 'When it ended.';

-- Writing -------------------------------------------------------------------------------------------------------------
-- Each function is one transaction and may be sent again: what is there already is left alone. Compound arguments are
-- JSON as text, which every PostgREST-like server hands over the same.
-- Errors: PT404 no such run, PT409 another epoch owns it (its number in DETAIL), PT422 a conflict.

create or replace function public.nadg_check_epoch(p_run text, p_epoch integer) returns void
language plpgsql security invoker set search_path = '' as $$
declare v_epoch integer;
begin
  select epoch into v_epoch from public.nadg_runs where run_id = p_run for update;
  if not found then
    raise exception 'no such run' using errcode = 'PT404';
  elsif v_epoch <> p_epoch then
    raise exception 'another epoch owns the run' using errcode = 'PT409', detail = v_epoch::text;
  end if;
end $$;
comment on function public.nadg_check_epoch(text, integer) is 'Locks a run for its owner; refuses everyone else.';

create or replace function public.nadg_put_plan(p_run text, p_epoch integer, p_plan text) returns void
language plpgsql security invoker set search_path = '' as $$
declare
  v_plan jsonb := p_plan::jsonb;
  v_created timestamptz;
begin
  perform public.nadg_check_epoch(p_run, p_epoch);
  -- A replica names the revision; others do not record the newest one twice.
  if exists (
    select from public.nadg_plans where run_id = p_run and revision = (v_plan ->> 'revision')::integer
  ) or (not v_plan ? 'revision' and (v_plan ->> 'plan') = (
    select plan from public.nadg_plans where run_id = p_run order by revision desc limit 1
  )) then
    return;
  end if;
  update public.nadg_runs set plan_digest = v_plan ->> 'digest',
    approved_by = coalesce(v_plan ->> 'approved_by', approved_by),
    approved_at = coalesce((v_plan ->> 'approved_at')::timestamptz, approved_at)
    where run_id = p_run returning created_at into v_created;
  insert into public.nadg_plans (run_id, revision, epoch, at, digest, plan)
    select p_run, coalesce((v_plan ->> 'revision')::integer, max(revision) + 1, 1), p_epoch, (v_plan ->> 'at')::timestamptz, v_plan ->> 'digest',
      v_plan ->> 'plan'
    from public.nadg_plans where run_id = p_run;
  insert into public.nadg_subtasks (run_id, subtask, title, kind, position, created_at, state)
    select p_run, s.subtask, s.title, s.kind, s.position, v_created, s.state
    from jsonb_to_recordset(v_plan -> 'subtasks')
      as s (subtask text, title text, kind text, position integer, state text)
    on conflict (run_id, subtask) do update
      set title = excluded.title, kind = excluded.kind, position = excluded.position;
  delete from public.nadg_subtasks s where s.run_id = p_run and s.attempts = 0
    and not (v_plan -> 'subtasks') @> jsonb_build_array(jsonb_build_object('subtask', s.subtask));
  insert into public.nadg_edits (run_id, at, by, kind, subtask, field, before, after)
    select p_run, e.at, e.by, e.kind, e.subtask, e.field, e.before, e.after
    from jsonb_to_recordset(v_plan -> 'edits')
      as e (at timestamptz, by text, kind text, subtask text, field text, before text, after text)
    on conflict do nothing;
end $$;
comment on function public.nadg_put_plan(text, integer, text) is 'Records a revision of a plan, its subtasks and its edits.';

create or replace function public.nadg_create_run(p_run text, p_plan text) returns integer
language plpgsql security invoker set search_path = '' as $$
declare
  v_run jsonb := p_run::jsonb;
  v_id text := v_run ->> 'run_id';
  v_epoch integer := (v_run ->> 'epoch')::integer;
  v_at timestamptz := (v_run ->> 'at')::timestamptz;
begin
  insert into public.nadg_runs (run_id, command, state, plan_digest, epoch, owner, heartbeat_at, created_at, rehearsal,
    planner)
  values (v_id, v_run ->> 'command', 'running', p_plan::jsonb ->> 'digest', v_epoch, v_run -> 'owner',
    coalesce((v_run ->> 'heartbeat_at')::timestamptz, now()), v_at, (v_run ->> 'rehearsal')::boolean,
    v_run ->> 'planner')
  on conflict (run_id) do nothing;
  if not found and not exists (
    select from public.nadg_runs where run_id = v_id and created_at = v_at
      and (epoch <> 1 or v_epoch <> 1 or owner = v_run -> 'owner')
  ) then
    raise exception 'the run exists already' using errcode = 'PT422', detail = v_id;
  end if;
  perform public.nadg_put_plan(v_id, v_epoch, p_plan);
  return v_epoch;
end $$;
comment on function public.nadg_create_run(text, text) is 'Records a new run with its first plan; the same one again is no error.';

create or replace function public.nadg_claim(
  p_run text, p_owner text, p_epoch integer, p_heartbeat timestamptz, p_now timestamptz
) returns integer
language plpgsql security invoker set search_path = '' as $$
declare v_epoch integer;
begin
  update public.nadg_runs set epoch = epoch + 1, owner = p_owner::jsonb, heartbeat_at = coalesce(p_now, now())
    where run_id = p_run and epoch = p_epoch and heartbeat_at is not distinct from p_heartbeat
    returning epoch into v_epoch;
  return v_epoch;
end $$;
comment on function public.nadg_claim(text, text, integer, timestamptz, timestamptz) is
  'Takes a run over if its epoch and heartbeat are still as seen; null if somebody was faster.';

create or replace function public.nadg_adopt(p_run text, p_owner text, p_epoch integer) returns integer
language plpgsql security invoker set search_path = '' as $$
declare v_epoch integer;
begin
  update public.nadg_runs set epoch = p_epoch, owner = p_owner::jsonb, heartbeat_at = now()
    where run_id = p_run and epoch < p_epoch;
  select epoch into v_epoch from public.nadg_runs where run_id = p_run;
  if not found then
    raise exception 'no such run' using errcode = 'PT404';
  end if;
  return v_epoch;
end $$;
comment on function public.nadg_adopt(text, text, integer) is
  'Catches up with an epoch that a run took in its owner''s own journal, before it was known here.';

create or replace function public.nadg_beat(p_run text, p_epoch integer, p_now timestamptz) returns void
language plpgsql security invoker set search_path = '' as $$
begin
  perform public.nadg_check_epoch(p_run, p_epoch);
  update public.nadg_runs set heartbeat_at = coalesce(p_now, now()) where run_id = p_run;
end $$;
comment on function public.nadg_beat(text, integer, timestamptz) is 'Renews the owner''s heartbeat.';

create or replace function public.nadg_remember(p_key text, p_run text, p_seq bigint, p_at timestamptz) returns void
language sql security invoker set search_path = '' as $$
  insert into public.nadg_cache as c (key, run_id, seq, at) values (p_key, p_run, p_seq, p_at)
  on conflict (key) do update set run_id = excluded.run_id, seq = excluded.seq, at = excluded.at
    where excluded.at >= c.at
$$;
comment on function public.nadg_remember(text, text, bigint, timestamptz) is 'Notes the newest success for a cache key.';

-- Events may come late or out of order: a state is only overwritten by a later seq.
create or replace function public.nadg_project(p_run text, p_event jsonb) returns void
language plpgsql security invoker set search_path = '' as $$
declare
  f jsonb := p_event -> 'facts';
  v_seq bigint := (p_event ->> 'seq')::bigint;
  v_at timestamptz := (p_event ->> 'at')::timestamptz;
  v_type text := p_event ->> 'type';
  v_subtask text := coalesce(p_event ->> 'subtask', '');
  v_shard integer := coalesce((p_event ->> 'shard')::integer, 0);
  v_attempt text := coalesce(p_event ->> 'attempt_id', '');
  v_worker text := f ->> 'worker';
  v_state text := f ->> 'state';
  v_outcome text := f ->> 'outcome';
  v_key text := f ->> 'key';
  v_started timestamptz;
begin
  if v_type in ('attempt_intended', 'attempt_started', 'attempt_ended') then
    insert into public.task_history (run_id, subtask, shard, attempt_id, task_description, status, created_at)
      values (p_run, v_subtask, v_shard, v_attempt,
        coalesce((select nullif(title, '') from public.nadg_subtasks where run_id = p_run and subtask = v_subtask),
          v_subtask), 'pending', v_at)
      on conflict (run_id, subtask, shard, attempt_id) do nothing;
    insert into public.nadg_shards (run_id, subtask, shard, state) values (p_run, v_subtask, v_shard, 'waiting')
      on conflict do nothing;
  end if;
  if v_type in ('attempt_intended', 'attempt_ended', 'shards_fixed', 'subtask_state') then
    insert into public.nadg_subtasks (run_id, subtask, created_at)
      select p_run, v_subtask, created_at from public.nadg_runs where run_id = p_run on conflict do nothing;
  end if;

  if v_type = 'attempt_intended' then
    update public.task_history set created_at = v_at, number = (f ->> 'number')::integer, cache_key = v_key,
      worker_id = coalesce(worker_id, (select id from public.worker_nodes where name = coalesce(worker, v_worker))),
      worker = coalesce(worker, v_worker)
      where run_id = p_run and subtask = v_subtask and shard = v_shard and attempt_id = v_attempt;
    update public.nadg_shards set attempts = attempts + 1, started_at = least(coalesce(started_at, v_at), v_at)
      where run_id = p_run and subtask = v_subtask and shard = v_shard;
    update public.nadg_shards set state = 'running', state_seq = v_seq, worker = v_worker, attempt_id = v_attempt,
      outcome = null, ended_at = null
      where run_id = p_run and subtask = v_subtask and shard = v_shard and state_seq < v_seq;
    update public.nadg_subtasks set attempts = attempts + 1, attempt_seq = greatest(attempt_seq, v_seq),
      worker = case when attempt_seq < v_seq then v_worker else worker end
      where run_id = p_run and subtask = v_subtask;

  elsif v_type = 'attempt_started' then
    update public.task_history set started_at = v_at, boot_id = f ->> 'boot_id', worker = coalesce(v_worker, worker),
      status = case when outcome is null then 'running' else status end
      where run_id = p_run and subtask = v_subtask and shard = v_shard and attempt_id = v_attempt;

  elsif v_type = 'attempt_ended' then
    update public.task_history set outcome = v_outcome, completed_at = v_at,
      status = case v_outcome when 'succeeded' then 'completed' when 'timed_out' then 'timed_out'
        when 'cancelled' then 'cancelled' else 'failed' end,
      worker = coalesce(v_worker, worker),
      worker_id = coalesce((select id from public.worker_nodes where name = coalesce(v_worker, worker)), worker_id),
      seconds = coalesce((f ->> 'seconds')::double precision, extract(epoch from v_at - started_at)),
      error = f ->> 'error', memory_mb = (f ->> 'memory_mb')::double precision,
      cpu_s = (f ->> 'cpu_s')::double precision, prompt_tokens = (f ->> 'prompt_tokens')::bigint,
      output_tokens = (f ->> 'output_tokens')::bigint
      where run_id = p_run and subtask = v_subtask and shard = v_shard and attempt_id = v_attempt
      returning worker, coalesce(v_key, cache_key), started_at into v_worker, v_key, v_started;
    update public.nadg_shards set state_seq = v_seq, outcome = v_outcome, worker = v_worker, attempt_id = v_attempt,
      ended_at = v_at, error = f ->> 'error',
      state = case v_outcome when 'succeeded' then 'succeeded' when 'cancelled' then 'cancelled'
        when 'lost' then 'ready' when 'rejected' then 'ready' else 'failed' end
      where run_id = p_run and subtask = v_subtask and shard = v_shard and state_seq < v_seq;
    update public.nadg_subtasks set outcome = v_outcome, worker = v_worker, attempt_seq = v_seq,
      error = coalesce(f ->> 'error', error)
      where run_id = p_run and subtask = v_subtask and attempt_seq < v_seq;
    update public.worker_nodes set total_tasks = coalesce(total_tasks, 0) + 1 where name = v_worker;
    if v_key is not null and v_outcome = 'succeeded' then
      perform public.nadg_remember(v_key, p_run, v_seq, v_at);
    end if;

  elsif v_type = 'shard_cached' then
    insert into public.nadg_shards (run_id, subtask, shard, state) values (p_run, v_subtask, v_shard, 'waiting')
      on conflict do nothing;
    update public.nadg_shards set state = 'cached', state_seq = v_seq, started_at = coalesce(started_at, v_at),
      ended_at = v_at, error = null
      where run_id = p_run and subtask = v_subtask and shard = v_shard and state_seq < v_seq;
    if v_key is not null then
      perform public.nadg_remember(v_key, p_run, v_seq, v_at);
    end if;

  elsif v_type = 'shards_fixed' then
    update public.nadg_subtasks set shards = (f ->> 'count')::integer where run_id = p_run and subtask = v_subtask;

  elsif v_type = 'subtask_state' then
    update public.nadg_subtasks set state = v_state, state_seq = v_seq, reason = f ->> 'reason',
      started_at = case when v_state in ('running', 'cached') then coalesce(started_at, v_at)
        when v_state = 'waiting' then null else started_at end,
      ended_at = case when v_state in ('succeeded', 'cached', 'failed', 'skipped', 'cancelled') then v_at end,
      error = case when v_state in ('succeeded', 'cached', 'waiting') then null
        when v_state = 'failed' then coalesce(error, f ->> 'reason') else error end
      where run_id = p_run and subtask = v_subtask and state_seq < v_seq;

  elsif v_type = 'worker_state' then
    insert into public.nadg_health (at, worker, run_id, state, capacity, latency_ms, reason, boot_id)
      values (v_at, coalesce(v_worker, ''), p_run, coalesce(v_state, ''), (f ->> 'capacity')::integer,
        (f ->> 'latency_ms')::double precision, f ->> 'reason', f ->> 'boot_id');

  elsif v_type in ('run_started', 'plan_revised') then
    update public.nadg_runs set planner = coalesce(f ->> 'planner', planner) where run_id = p_run;
    update public.nadg_runs set state = 'running', state_seq = v_seq, ended_at = null
      where run_id = p_run and state_seq < v_seq;

  elsif v_type = 'run_ended' then
    update public.nadg_runs set state = v_state, state_seq = v_seq,
      ended_at = case when v_state in ('succeeded', 'failed', 'cancelled') then v_at end
      where run_id = p_run and state_seq < v_seq;
  end if;
end $$;
comment on function public.nadg_project(text, jsonb) is 'Updates the rows that one new event concerns.';

create or replace function public.nadg_append(p_run text, p_epoch integer, p_events text) returns bigint
language plpgsql security invoker set search_path = '' as $$
declare
  v_event jsonb;
  v_last bigint;
begin
  perform public.nadg_check_epoch(p_run, p_epoch);
  for v_event in select value from jsonb_array_elements(p_events::jsonb) loop
    insert into public.nadg_events (run_id, seq, epoch, at, type, subtask, shard, attempt_id, payload)
      values (p_run, (v_event ->> 'seq')::bigint, (v_event ->> 'epoch')::integer, (v_event ->> 'at')::timestamptz,
        v_event ->> 'type', v_event ->> 'subtask', (v_event ->> 'shard')::integer, v_event ->> 'attempt_id',
        v_event ->> 'payload')
      on conflict (run_id, seq) do nothing;
    if found then
      perform public.nadg_project(p_run, v_event);
    elsif not exists (
      select from public.nadg_events where run_id = p_run and seq = (v_event ->> 'seq')::bigint
        and epoch = (v_event ->> 'epoch')::integer and type = v_event ->> 'type' and payload = v_event ->> 'payload'
    ) then
      raise exception 'another event has the same seq' using errcode = 'PT422', detail = v_event ->> 'seq';
    end if;
  end loop;
  update public.nadg_runs set last_seq = greatest(last_seq,
      (select coalesce(max((value ->> 'seq')::bigint), 0) from jsonb_array_elements(p_events::jsonb)))
    where run_id = p_run returning last_seq into v_last;
  return v_last;
end $$;
comment on function public.nadg_append(text, integer, text) is 'Writes events and what they add up to, all or none; gives the last seq.';

create or replace function public.nadg_upsert_workers(p_workers text) returns void
language plpgsql security invoker set search_path = '' as $$
declare
  w record;
  v_before timestamptz;
  v_new boolean;
begin
  for w in select * from jsonb_to_recordset(p_workers::jsonb) as x (name text, vm_url text, status text, generation integer,
    labels jsonb, capacity integer, total_tasks integer, last_ping timestamptz, details text, latency_ms double precision,
    reason text, boot_id text)
  loop
    v_before := null;
    select last_ping into v_before from public.worker_nodes where name = w.name for update;
    v_new := not found;
    if v_new then
      insert into public.worker_nodes as n (name, vm_url, status, generation, labels, capacity, total_tasks, last_ping,
        details)
      values (w.name, w.vm_url, w.status, w.generation, w.labels, w.capacity, w.total_tasks, w.last_ping, w.details)
      on conflict (vm_url) do update set name = excluded.name, status = excluded.status,
        generation = greatest(n.generation, excluded.generation), labels = excluded.labels,
        capacity = excluded.capacity, total_tasks = greatest(n.total_tasks, excluded.total_tasks),
        last_ping = coalesce(excluded.last_ping, n.last_ping), details = excluded.details;
    else
      update public.worker_nodes n set vm_url = w.vm_url, status = w.status,
        generation = greatest(n.generation, w.generation), labels = w.labels, capacity = w.capacity,
        total_tasks = greatest(n.total_tasks, w.total_tasks), last_ping = coalesce(w.last_ping, n.last_ping),
        details = w.details
        where n.name = w.name;
    end if;
    if w.last_ping is not null and (v_new or v_before is distinct from w.last_ping) then
      insert into public.nadg_health (at, worker, state, capacity, latency_ms, reason, boot_id)
        values (w.last_ping, w.name, w.status, w.capacity, w.latency_ms, w.reason, w.boot_id);
    end if;
  end loop;
end $$;
comment on function public.nadg_upsert_workers(text) is 'Registers or updates workers in one write; each new ping is kept in nadg_health.';

create or replace function public.nadg_remove_worker(p_name text) returns boolean
language plpgsql security invoker set search_path = '' as $$
begin
  delete from public.worker_nodes where name = p_name;
  return found;
end $$;
comment on function public.nadg_remove_worker(text) is 'Forgets a worker; its history stays.';

create or replace function public.nadg_prune(p_before timestamptz) returns jsonb
language plpgsql security invoker set search_path = '' as $$
declare
  v_runs text[] := array(select run_id from public.nadg_runs
    where state in ('succeeded', 'failed', 'cancelled') and ended_at < p_before for update);
  v_table text;
  v_count bigint;
  v_counts jsonb := '{}';
begin
  -- The tables in an order that no cascade has to find them.
  foreach v_table in array array['nadg_cache', 'nadg_events', 'task_history', 'nadg_shards', 'nadg_subtasks',
    'nadg_edits', 'nadg_plans', 'nadg_runs']
  loop
    execute format('delete from public.%I where run_id = any($1)', v_table) using v_runs;
    get diagnostics v_count = row_count;
    v_counts := v_counts || jsonb_build_object(
      case v_table when 'task_history' then 'attempts' else substr(v_table, 6) end, v_count);
  end loop;
  delete from public.nadg_health where at < p_before;
  get diagnostics v_count = row_count;
  return v_counts || jsonb_build_object('health', v_count);
end $$;
comment on function public.nadg_prune(timestamptz) is 'Deletes runs that ended before a time; gives counts by table.';

create or replace function public.nadg_prune_results(p_run text, p_events text) returns jsonb
language plpgsql security invoker set search_path = '' as $$
declare
  v_events bigint;
  v_cache bigint;
begin
  update public.nadg_events e set payload = p.payload
    from jsonb_to_recordset(p_events::jsonb) as p (seq bigint, payload text)
    where e.run_id = p_run and e.seq = p.seq;
  get diagnostics v_events = row_count;
  delete from public.nadg_cache where run_id = p_run;
  get diagnostics v_cache = row_count;
  return jsonb_build_object('results', v_events, 'cache', v_cache);
end $$;
comment on function public.nadg_prune_results(text, text) is 'Replaces payloads of a run by ones without results.';

-- Reading -------------------------------------------------------------------------------------------------------------
-- Functions that give one JSON value: PostgREST's limit on rows does not cut them.

create or replace function public.nadg_look(p_run text) returns jsonb
language sql stable security invoker set search_path = '' as $$
  select jsonb_build_object('now', now(), 'run', (select to_jsonb(r) from public.nadg_runs r where run_id = p_run))
$$;
comment on function public.nadg_look(text) is 'A run, and the server''s time to judge its heartbeat by.';

create or replace function public.nadg_unfinished() returns jsonb
language sql stable security invoker set search_path = '' as $$
  select coalesce(jsonb_agg(to_jsonb(r) order by created_at desc, run_id), '[]') from public.nadg_runs r
    where state in ('running', 'paused', 'interrupted')
$$;
comment on function public.nadg_unfinished() is 'Runs that have not ended, newest first.';

create or replace function public.nadg_plan(p_run text) returns jsonb
language sql stable security invoker set search_path = '' as $$
  select jsonb_build_object('plan', (
    select plan from public.nadg_plans where run_id = p_run order by revision desc limit 1))
$$;
comment on function public.nadg_plan(text) is 'The newest plan of a run, as JSON text.';

create or replace function public.nadg_read(p_run text, p_after bigint, p_most integer, p_types text default null)
returns jsonb
language sql stable security invoker set search_path = '' as $$
  -- A page ends early when its payloads are long.
  select coalesce(jsonb_agg(to_jsonb(page) - 'before' order by seq), '[]') from (
    select e.*, sum(length(payload)) over (order by seq) - length(payload) as before
    from public.nadg_events e
    where run_id = p_run and seq > p_after and (p_types is null or p_types::jsonb ? type)
    order by seq limit p_most
  ) page where before < 4000000
$$;
comment on function public.nadg_read(text, bigint, integer, text) is 'A page of a run''s events after a seq.';

create or replace function public.nadg_workers() returns jsonb
language sql stable security invoker set search_path = '' as $$
  select coalesce(jsonb_agg(to_jsonb(w) order by name collate "C"), '[]') from public.worker_nodes w
$$;
comment on function public.nadg_workers() is 'All registered workers.';

create or replace function public.nadg_cached(p_keys text) returns jsonb
language sql stable security invoker set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('key', c.key, 'run_id', e.run_id, 'attempt_id', e.attempt_id,
      'payload', e.payload)), '[]')
    from public.nadg_cache c join public.nadg_events e on e.run_id = c.run_id and e.seq = c.seq
    where c.key in (select jsonb_array_elements_text(p_keys::jsonb))
$$;
comment on function public.nadg_cached(text) is 'The events that hold the newest results for cache keys.';

create or replace function public.nadg_old_runs(p_before timestamptz) returns jsonb
language sql stable security invoker set search_path = '' as $$
  select coalesce(jsonb_agg(run_id order by run_id), '[]') from public.nadg_runs
    where state in ('succeeded', 'failed', 'cancelled') and ended_at < p_before
$$;
comment on function public.nadg_old_runs(timestamptz) is 'Runs that ended before a time.';

-- The frames. sort_at and sort_id are the key that pages go by, newest first; search is what a text is looked for in.

drop view if exists public.nadg_frame_history, public.nadg_frame_attempts, public.nadg_frame_runs,
  public.nadg_frame_edits, public.nadg_frame_workers, public.nadg_frame_shards, public.nadg_frame_health,
  public.nadg_frame_summary;

create view public.nadg_frame_history with (security_invoker = true) as
  select s.run_id, s.subtask, s.title, s.state, s.worker, s.started_at, s.ended_at,
    extract(epoch from s.ended_at - s.started_at)::double precision as seconds, s.attempts, s.shards, s.error,
    r.command, s.outcome, s.kind, s.reason, r.state as run_state, r.rehearsal,
    coalesce(s.started_at, s.created_at) as filter_at, s.created_at as sort_at,
    s.run_id || ':' || lpad(s.position::text, 9, '0') || ':' || s.subtask as sort_id,
    concat_ws(e'\n', s.title, r.command, s.error) as search
  from public.nadg_subtasks s join public.nadg_runs r using (run_id);
comment on view public.nadg_frame_history is 'One row per subtask of each run.';

create view public.nadg_frame_attempts with (security_invoker = true) as
  select run_id, subtask, shard, attempt_id, number, worker, outcome, created_at as intended_at, started_at,
    completed_at as ended_at, seconds, error, memory_mb, cpu_s, prompt_tokens, output_tokens, boot_id,
    created_at as filter_at, created_at as sort_at, lpad((999999999999999999 - id)::text, 18, '0') as sort_id,
    coalesce(error, '') as search
  from public.task_history where run_id is not null;
comment on view public.nadg_frame_attempts is 'One row per attempt.';

create view public.nadg_frame_runs with (security_invoker = true) as
  select r.run_id, r.command, r.state, r.created_at, r.ended_at,
    extract(epoch from r.ended_at - r.created_at)::double precision as seconds,
    t.subtasks, t.succeeded, t.failed, t.attempts, r.rehearsal, r.planner, r.approved_by, r.approved_at,
    r.plan_digest, r.owner ->> 'name' as owner, r.epoch,
    r.created_at as filter_at, r.created_at as sort_at, r.run_id as sort_id, r.command as search
  from public.nadg_runs r cross join lateral (
    select count(*) as subtasks, count(*) filter (where s.state in ('succeeded', 'cached')) as succeeded,
      count(*) filter (where s.state = 'failed') as failed, coalesce(sum(s.attempts), 0) as attempts
    from public.nadg_subtasks s where s.run_id = r.run_id
  ) t;
comment on view public.nadg_frame_runs is 'One row per run.';

create view public.nadg_frame_edits with (security_invoker = true) as
  select e.run_id, e.at, e.by, e.kind, e.subtask, e.field, e.before, e.after, r.command,
    e.at as filter_at, e.at as sort_at, lpad((999999999999999999 - e.id)::text, 18, '0') as sort_id,
    concat_ws(e'\n', r.command, e.before, e.after) as search
  from public.nadg_edits e join public.nadg_runs r using (run_id);
comment on view public.nadg_frame_edits is 'One row per changed field of each edit.';

create view public.nadg_frame_workers with (security_invoker = true) as
  select name as worker, vm_url as url, status, generation, labels::text as labels, capacity, total_tasks, last_ping,
    details, status as state, last_ping as filter_at, coalesce(last_ping, '1970-01-01Z') as sort_at, name as sort_id,
    vm_url as search
  from public.worker_nodes;
comment on view public.nadg_frame_workers is 'One row per registered worker.';

create view public.nadg_frame_shards with (security_invoker = true) as
  select s.run_id, s.subtask, s.shard, s.state, s.outcome, s.worker, s.attempt_id, s.attempts, s.started_at,
    s.ended_at, extract(epoch from s.ended_at - s.started_at)::double precision as seconds, s.error,
    s.started_at as filter_at, coalesce(s.started_at, '1970-01-01Z') as sort_at,
    s.run_id || ':' || s.subtask || ':' || lpad(s.shard::text, 9, '0') as sort_id, coalesce(s.error, '') as search
  from public.nadg_shards s;
comment on view public.nadg_frame_shards is 'One row per shard.';

create view public.nadg_frame_health with (security_invoker = true) as
  select at, worker, state, latency_ms, capacity, reason, boot_id, run_id,
    at as filter_at, at as sort_at, lpad((999999999999999999 - id)::text, 18, '0') as sort_id,
    coalesce(reason, '') as search
  from public.nadg_health;
comment on view public.nadg_frame_health is 'One row per state that a worker was seen in.';

create view public.nadg_frame_summary with (security_invoker = true) as
  select date_trunc('day', completed_at, 'UTC') as day, worker, outcome, count(*) as count,
    avg(seconds) as mean_seconds, max(seconds) as max_seconds,
    date_trunc('day', completed_at, 'UTC') as filter_at, date_trunc('day', completed_at, 'UTC') as sort_at,
    coalesce(worker, '') || e'\u0001' || outcome as sort_id
  from public.task_history where run_id is not null and outcome is not null
  group by date_trunc('day', completed_at, 'UTC'), worker, outcome;
comment on view public.nadg_frame_summary is 'Attempts that ended, per day (UTC), worker and outcome.';

create or replace function public.nadg_query(p_frame text, p_filters text, p_after text, p_most integer)
returns jsonb
language plpgsql stable security invoker set search_path = '' as $$
declare
  v_where text := 'true';
  v_filter text;
  v_rows jsonb;
begin
  if p_frame not in ('history', 'attempts', 'runs', 'edits', 'workers', 'shards', 'health', 'summary') then
    raise exception 'no such frame' using errcode = 'PT422';
  end if;
  foreach v_filter in array array['state', 'outcome', 'worker', 'run', 'subtask'] loop
    if p_filters::jsonb ? v_filter then
      v_where := v_where || format(' and f.%I = any(array(select jsonb_array_elements_text($1 -> %L)))',
        case v_filter when 'run' then 'run_id' else v_filter end, v_filter);
    end if;
  end loop;
  if p_filters::jsonb ? 'since' then v_where := v_where || ' and f.filter_at >= ($1 ->> ''since'')::timestamptz'; end if;
  if p_filters::jsonb ? 'until' then v_where := v_where || ' and f.filter_at <= ($1 ->> ''until'')::timestamptz'; end if;
  if p_filters::jsonb ? 'text' then
    v_where := v_where || ' and strpos(lower(f.search), lower($1 ->> ''text'')) > 0';
  end if;
  if p_after is not null then
    v_where := v_where || ' and f.sort_at <= ($2 ->> ''sort_at'')::timestamptz and (f.sort_at < ($2 ->> ''sort_at'')'
      '::timestamptz or f.sort_id collate "C" > $2 ->> ''sort_id'')';
  end if;
  execute format(
    'select coalesce(jsonb_agg(to_jsonb(page) - ''search'' - ''filter_at'' order by sort_at desc, sort_id collate "C"), '
    '''[]'') from (select * from public.%I f where %s order by sort_at desc, sort_id collate "C" limit $3) page',
    'nadg_frame_' || p_frame, v_where
  ) using p_filters::jsonb, p_after::jsonb, p_most into v_rows;
  return v_rows;
end $$;
comment on function public.nadg_query(text, text, text, integer) is
  'A page of a frame, newest first, after the key of the last row seen. Values of filters are bound, never written into the statement.';

-- Who may use it ------------------------------------------------------------------------------------------------------
-- Row level security is on without a policy for anyone but service_role, and grants that a project's defaults may have
-- given to others are taken back: the anon key gets "permission denied" (42501).

do $$
declare
  v_name text;
  v_role text;
  v_function regprocedure;
  v_service boolean := exists (select from pg_catalog.pg_roles where rolname = 'service_role');
begin
  if v_service then
    grant usage on schema public to service_role;
  end if;
  for v_name in
    select c.relname from pg_catalog.pg_class c where c.relnamespace = 'public'::regnamespace
      and c.relkind in ('r', 'v') and (c.relname in ('worker_nodes', 'task_history') or c.relname like 'nadg\_%')
  loop
    foreach v_role in array array['public', 'anon', 'authenticated'] loop
      if v_role = 'public' or exists (select from pg_catalog.pg_roles where rolname = v_role) then
        execute format('revoke all on public.%I from %s', v_name, v_role);
      end if;
    end loop;
    if v_service then
      execute format('grant select, insert, update, delete on public.%I to service_role', v_name);
    end if;
    if exists (select from pg_catalog.pg_class where oid = format('public.%I', v_name)::regclass and relkind = 'r') then
      execute format('alter table public.%I enable row level security', v_name);
      execute format('drop policy if exists nadg_service on public.%I', v_name);
      if v_service then
        execute format('create policy nadg_service on public.%I to service_role using (true) with check (true)', v_name);
      end if;
    end if;
  end loop;
  for v_name in
    select c.relname from pg_catalog.pg_class c
      join pg_catalog.pg_depend d on d.objid = c.oid and d.deptype in ('a', 'i')
      join pg_catalog.pg_class t on t.oid = d.refobjid
      where c.relkind = 'S' and t.relnamespace = 'public'::regnamespace
        and (t.relname in ('worker_nodes', 'task_history') or t.relname like 'nadg\_%')
  loop
    foreach v_role in array array['public', 'anon', 'authenticated'] loop
      if v_role = 'public' or exists (select from pg_catalog.pg_roles where rolname = v_role) then
        execute format('revoke all on sequence public.%I from %s', v_name, v_role);
      end if;
    end loop;
    if v_service then
      execute format('grant usage, select on sequence public.%I to service_role', v_name);
    end if;
  end loop;
  for v_function in
    select p.oid from pg_catalog.pg_proc p
      where p.pronamespace = 'public'::regnamespace and p.proname like 'nadg\_%'
  loop
    foreach v_role in array array['public', 'anon', 'authenticated'] loop
      if v_role = 'public' or exists (select from pg_catalog.pg_roles where rolname = v_role) then
        execute format('revoke all on function %s from %s', v_function, v_role);
      end if;
    end loop;
    if v_service then
      execute format('grant execute on function %s to service_role', v_function);
    end if;
  end loop;
end $$;

notify pgrst, 'reload schema';

commit;
