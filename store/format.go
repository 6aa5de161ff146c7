package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"

	"go.etcd.io/bbolt"
)

// The file is a bbolt file with a bucket per table and one for ourselves,
// whose name no table can have:
//
//	"~format"  "version" → u32 little endian | CRC-32C
//	TABLE      key       → value             | CRC-32C
const (
	formatBucket  = "~format"
	formatVersion = 1
)

var versionKey = []byte("version")

func newTable(name string, ordered []string) table {
	t := table{name: name, seed: tableSeed(name), fill: fillUnordered}
	if slices.Contains(ordered, name) {
		t.fill = fillOrdered
	}
	return t
}

// initFile fills a new file.
func (db *DB) initFile(tx *bbolt.Tx) error {
	b, err := tx.CreateBucket([]byte(formatBucket))
	if err != nil {
		return err
	}
	version := binary.LittleEndian.AppendUint32(nil, formatVersion)
	if err := b.Put(versionKey, sealRow(tableSeed(formatBucket), versionKey, version)); err != nil {
		return err
	}
	return db.addTables(tx)
}

func (db *DB) addTables(tx *bbolt.Tx) error {
	for _, t := range db.tables {
		if _, err := tx.CreateBucketIfNotExists([]byte(t.name)); err != nil {
			return fmt.Errorf("create table %q: %w", t.name, err)
		}
	}
	return nil
}

// prepareFile checks the format of an open file and adds missing tables.
func (db *DB) prepareFile() (err error) {
	defer recoverCorrupt(&err, db.path, debug.SetPanicOnFault(true))
	missing := false
	err = db.bolt.View(func(tx *bbolt.Tx) error {
		for _, t := range db.tables {
			missing = missing || tx.Bucket([]byte(t.name)) == nil
		}
		return checkFormat(db.path, tx)
	})
	if err != nil || !missing {
		return err
	}
	tx, err := db.bolt.Begin(true)
	if err != nil {
		return ioError("begin", db.path, err)
	}
	if err := db.addTables(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return CommitBolt(db.cfg.Seam, tx)
}

// checkFormat refuses a file that was written by a newer version, or by
// something else.
func checkFormat(path string, tx *bbolt.Tx) error {
	b := tx.Bucket([]byte(formatBucket))
	if b == nil {
		return fmt.Errorf("open %s: %w: not a state file", path, ErrFormat)
	}
	version, ok := openRow(tableSeed(formatBucket), versionKey, b.Get(versionKey))
	if !ok || len(version) != 4 {
		return &CorruptError{Path: path, Table: formatBucket, Key: versionKey, Detail: "bad version row"}
	}
	if v := binary.LittleEndian.Uint32(version); v != formatVersion {
		return fmt.Errorf("open %s: %w: version %d, this program knows %d", path, ErrFormat, v, formatVersion)
	}
	return nil
}

// options are bbolt's for the state file. The freelist is kept in the file:
// finding the free pages again at open would mean reading all of it. The file
// must not outgrow its map, because growing the map waits until no read
// transaction is open, and one always is.
func (db *DB) options() *bbolt.Options {
	var fileSize int64
	if info, err := os.Stat(db.path); err == nil {
		fileSize = info.Size()
	}
	size := int(mapSize(db.cfg.InitialMmap, fileSize))
	return &bbolt.Options{FreelistType: bbolt.FreelistMapType, InitialMmapSize: size, MaxSize: size}
}
