-- Facts about the server.
select jsonb_build_object(
  'version', split_part(current_setting('server_version'), ' ', 1),
  'version_number', current_setting('server_version_num')::int,
  'user', current_user,
  'now', extract(epoch from clock_timestamp()),
  'notify_usage', pg_notification_queue_usage()
)
