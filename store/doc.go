// Package store keeps tables of sorted rows in one bbolt file and writes them
// behind: changes are visible in memory at once and reach the file later, in
// one synced transaction. It also holds the file operations that every package
// with files uses (files.go, bolt.go, lock.go).
package store
