package store

import (
	"fmt"
	"io"
	"sync/atomic"
)

// Pin holds on to what is durable: the file as of one flush. While it is held
// the file grows by what later flushes replace.
type Pin struct {
	file   *fileView
	closed atomic.Bool
}

// Pin pins the durable state. The caller must call Close.
func (db *DB) Pin() (*Pin, error) {
	if err := db.failure(); err != nil {
		return nil, err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return nil, ErrClosed
	}
	db.current.file.retain()
	return &Pin{file: db.current.file}, nil
}

// Get returns the value of a durable row, nil if there is none. It is valid
// until Close.
func (p *Pin) Get(t Table, key []byte) ([]byte, error) {
	value, _, err := p.file.get(t, key, make([]frame, 0, usualDepth))
	return value, err
}

// Size is how many bytes WriteTo writes.
func (p *Pin) Size() int64 { return p.file.tx.Size() }

// WriteTo writes the durable state as a database file, which need not be
// whole before CheckFile has passed on it. An error of reading matches ErrIO;
// one of w is returned as it is.
func (p *Pin) WriteTo(w io.Writer) (int64, error) {
	to := &target{w: w}
	n, err := p.file.tx.WriteTo(to)
	switch {
	case to.err != nil:
		return n, fmt.Errorf("copy %s: %w", p.file.db.path, to.err)
	case err != nil:
		return n, ioError("copy", p.file.db.path, err)
	}
	return n, nil
}

// Close gives the pin free. It may be called twice.
func (p *Pin) Close() {
	if !p.closed.Swap(true) {
		p.file.release()
	}
}

// target remembers the error of a writer, to tell it from the reader's.
type target struct {
	w   io.Writer
	err error
}

func (t *target) Write(b []byte) (int, error) {
	n, err := t.w.Write(b)
	if err != nil {
		t.err = err
	}
	return n, err
}

// Copy writes the durable state to w as a database file and returns its size.
func (db *DB) Copy(w io.Writer) (int64, error) {
	pin, err := db.Pin()
	if err != nil {
		return 0, err
	}
	defer pin.Close()
	return pin.WriteTo(w)
}
