"""Tools for handlers. Nothing here knows of queues, so a handler's work can be tried without a service.

Import the module that you use: `from listener.kit import ffmpeg, storage`.

| Module | Purpose |
| --- | --- |
| `ffmpeg` | run FFmpeg with progress, limits and typed errors |
| `media` | read what a media file holds |
| `storage` | files in buckets: a folder, Supabase Storage or S3 |
| `tables` | rows of the application's tables, over Postgres or REST |
| `intake` | bring a file that a row names, from storage, an address or a `data:` URL |
| `fetch` | download from an address safely |
| `http_status` | whether a response's status is transient, and its Retry-After |
| `data_url` | decode `data:` URLs |
| `sandbox` | run another program with limits |
| `settings` | read settings of the service and of the application |
| `configured` | the storage and the tables that the settings name |
| `errors` | the base class of the kit's errors, which says whether an error is permanent |
| `text` | make texts and values storable, and remove secrets from texts |
| `backoff` | delays between tries |
| `wakeup` | an event that re-arms itself |
| `per_loop` | one instance of a client per event loop |
| `sync` | call asynchronous clients from programs without an event loop |

These modules and their submodules are public, apart from those whose names start with an underscore.
"""
