//go:build !linux

package raftlog

import "os"

func syncData(f *os.File) error { return f.Sync() }
