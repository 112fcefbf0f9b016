-- Preset: a role that can only run the service, for DATABASE_URL in place of the tables' owner. Run it as the owner
-- of the schema, who may create roles; running it again changes nothing. Then give the role a password, and put its
-- name and password into DATABASE_URL:
--
--   alter role listener_worker password '…';
--
-- People's commands, such as `listener attach` and `listener requeue`, still need the owner.

do $$
begin
  if to_regrole('listener_worker') is null then
    create role listener_worker login noinherit;
  end if;
exception
  when duplicate_object then null; -- another database of this cluster created it at the same time
  when insufficient_privilege then
    raise exception 'the role listener_worker is missing, and % may not create it', current_user
      using hint = 'Have an administrator run: create role listener_worker login noinherit;';
end
$$;

select listener.grant_verbs('listener_worker');
