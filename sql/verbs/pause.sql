-- pause: no job of the queue is claimed until resume; jobs that run go on. Answers whether it was not paused before.
create or replace function listener.pause(queue text) returns boolean
language sql security definer set search_path = ''
as $$ select listener.set_paused(pause.queue, true) $$;

-- set_paused: the common body of pause and resume, for a queue or for all kinds of an attachment.
create or replace function listener.set_paused(queue text, paused boolean) returns boolean
language plpgsql set search_path = ''
as $$
declare
  a       listener.attachment;
  changed int[];
begin
  a := listener.attached(set_paused.queue);
  with switched as (
    update listener.queue as q set paused = set_paused.paused
    where q.attachment = a.id and set_paused.queue in (q.name, a.name) and q.paused <> set_paused.paused returning q.id
  )
  select array_agg(s.id) into changed from switched as s;
  if not paused then
    perform listener.wake_queues(changed);
  end if;
  return changed is not null;
end $$;
