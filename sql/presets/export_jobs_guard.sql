-- Preset: browsers may insert, cancel and retry exports, but not write what the service writes. Run it after the preset
-- export_jobs; `select listener.unguard('export');` reverses it.

select listener.guard('export', columns => '{download_url}');
