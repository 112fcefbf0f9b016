-- Preset: the database calls the service by HTTP when there are new jobs, for hosts that put a service to sleep until
-- it is called. The call is only a wake: one that is lost, late or doubled does no harm. Run it as the owner of the
-- schema; running it again changes nothing. It needs the extension pg_net, and two secrets in Supabase's Vault:
--
--   select vault.create_secret('https://your-service.example.com/webhook/new-job', 'listener_webhook_url');
--   select vault.create_secret('the WEBHOOK_SECRET of the service', 'listener_webhook_secret');
--
-- To remove it: drop function listener.call_webhook() cascade; drop function listener.webhook_target();

-- webhook_target: the address to call and the secret to send. A database without a Vault keeps both in a table that
-- only its owner can read, not in settings, because anybody may change a setting in a session or read it in the
-- catalog.
create or replace function listener.webhook_target(out url text, out secret text)
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  if to_regclass('vault.decrypted_secrets') is not null then
    execute 'select max(s.decrypted_secret) filter (where s.name = ''listener_webhook_url''),'
      ' max(s.decrypted_secret) filter (where s.name = ''listener_webhook_secret'') from vault.decrypted_secrets as s'
      ' where s.name in (''listener_webhook_url'', ''listener_webhook_secret'')'
      into url, secret;
  end if;
  if to_regclass('listener.webhook') is not null then
    execute 'select coalesce($1, w.url), coalesce($2, w.secret) from listener.webhook as w limit 1'
      into url, secret using url, secret;
  end if;
end $$;

do $$
begin
  if to_regprocedure('net.http_post(text, jsonb, jsonb, jsonb, integer)') is null then
    raise exception 'the extension pg_net is missing, so this database can''t make HTTP calls'
      using hint = 'On Supabase: create extension pg_net; then run this again.';
  end if;
  if exists (select from listener.webhook_target() as t where t.url is null or t.secret is null) then
    raise exception 'the webhook has no address or no secret yet'
      using hint = case when to_regclass('vault.decrypted_secrets') is not null
        then 'select vault.create_secret(''https://…/webhook/new-job'', ''listener_webhook_url''),'
          ' vault.create_secret(''…'', ''listener_webhook_secret'');'
        else 'create table listener.webhook as select ''https://…/webhook/new-job'' as url, ''…'' as secret;' end;
  end if;
end $$;

-- call_webhook: makes one call for each statement that made jobs, in any table. It is sent after the commit, and never
-- makes the statement fail.
create or replace function listener.call_webhook() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
  target record;
begin
  if exists (select from made) then
    select * into target from listener.webhook_target();
    perform net.http_post(
      url := target.url,
      body := jsonb_build_object('job_id', (select m.job_key from made as m limit 1)),
      headers := jsonb_build_object('Content-Type', 'application/json', 'X-Webhook-Secret', target.secret),
      timeout_milliseconds := 10000 -- a host that sleeps takes its time
    );
  end if;
  return null;
exception when others then
  raise warning 'listener could not call its webhook: %', sqlerrm;
  return null;
end $$;

revoke all on function listener.call_webhook(), listener.webhook_target() from public;

create or replace trigger listener_webhook after insert on listener.delivery
referencing new table as made for each statement execute function listener.call_webhook();
