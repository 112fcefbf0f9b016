// Of the project's API settings: the two values that anybody may know.
window.config = { url: 'https://YOUR-PROJECT.supabase.co', key: 'sb_publishable_…' }
