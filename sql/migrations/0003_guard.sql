-- Tables that are guarded against what a browser may write (see the function guard), a row each.
create table listener.guarded (
  attachment int primary key references listener.attachment on delete cascade,
  columns    text[] not null,   -- that only the service writes, beside those that the attachment names
  granted    jsonb not null     -- role -> {"table": might update every column, "columns": [name]}, for unguard
);

revoke all on table listener.guarded from public;
