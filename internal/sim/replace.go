package sim

import (
	"maps"
	"slices"

	"github.com/ankurah/ankurah-go/id"
)

// backup keeps a copy of the server's disk.
func (w *World) backup() {
	w.note("backup")
	w.kept, w.keptAt = w.server.disk.copied(), maps.Clone(w.committed)
}

// restoreBackup starts the server on the backup: what was stored since is
// lost, and nobody is to blame.
func (w *World) restoreBackup() {
	if w.kept == nil {
		return
	}
	w.note("the server's store is restored from the backup")
	w.server.crashIfUp()
	w.replaceDisk(w.kept.copied())
	for tx := range w.committed {
		if !w.keptAt[tx] {
			w.forgiven[tx] = true
		}
	}
	w.fail(w.server.start())
	if w.failure == nil {
		w.server.core.NewEpoch(func(err error) {
			if err != nil {
				w.fail(err)
			}
		})
		for w.next(w.server) {
		}
	}
}

// replaceDisk gives the server another disk. What clients heard to be stored,
// and is not there, is forgiven.
func (w *World) replaceDisk(d *disk) {
	w.restores++
	clear(w.truths)
	w.joint = nil
	old := w.server.disk
	w.server.disk = d
	w.fail(d.open())
	was, err := old.Snapshot()
	if err != nil {
		w.fail(err)
		return
	}
	defer was.Close()
	is, err := d.Snapshot()
	if err != nil {
		w.fail(err)
		return
	}
	defer is.Close()
	for _, n := range w.clients {
		for _, o := range n.own {
			had, err := isStored(was, o.tx)
			w.fail(err)
			has, err := isStored(is, o.tx)
			w.fail(err)
			if had && !has {
				w.forgiven[o.tx] = true
			}
		}
	}
}

// reset begins a new system. Nobody who belongs to the old one gets in, until
// it has wiped its store.
func (w *World) reset() {
	w.note("a new system begins")
	w.server.crashIfUp()
	for _, p := range slices.Clone(w.pipes) {
		p.cut()
	}
	w.server.disk = newDisk()
	w.fail(w.found())
	for _, n := range w.clients {
		if w.failure != nil {
			return
		}
		w.restart(n)
	}
	for range 2000 {
		if !w.next(w.everybody()...) {
			break
		}
	}
	for _, n := range w.clients {
		if n.core != nil && n.core.Connected() && n.core.Root() != w.server.core.Root() {
			w.failf("%s got into another system", n.name)
		}
		n.crashIfUp()
		n.disk, n.own, n.seen = newDisk(), nil, map[id.ID]uint64{}
		w.fail(n.start())
	}
	w.restores++
	p := newPromises()
	p.restores = w.restores
	w.promises = p
}
