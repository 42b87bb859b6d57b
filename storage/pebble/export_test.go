package pebble

// SetMemTable makes memtables small, so that tests see tables on disk.
func (o *Options) SetMemTable(size uint64) { o.memTable = size }
