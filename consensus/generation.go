package consensus

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/edri-io/edri/internal/fault"
	"github.com/edri-io/edri/store"
)

// The state and the journal live together in a generation, a directory named
// data-NNNNNN, and the file CURRENT names the one in force:
//
//	DIR/CURRENT              "data-000002\n"
//	DIR/data-000002/         state.db, journal/, origin.json if it was installed
//	DIR/staging/export-*/    what is being sent, also backup-*/; removed at each start
//	DIR/staging/segments/    sealed segments that were fetched, see staging.go
//	DIR/RESTORING            the directory is half restored, see restore.go
//	DIR/quarantine/          what was damaged, see quarantine.go
//
// A snapshot is installed by staging the next generation completely and then
// renaming one file over CURRENT, so that a crash leaves either the old state or
// the new one.
const (
	currentFile      = "CURRENT"
	stagingDir       = "staging"
	segmentsDir      = "segments"
	generationPrefix = "data-"
)

type generations struct {
	dir  string
	seam fault.Seam
}

// current returns the directory of the generation in force, made anew in an
// empty data directory, and removes what an interrupted install left behind.
func (g generations) current() (string, error) {
	name, err := os.ReadFile(g.currentPath())
	if errors.Is(err, fs.ErrNotExist) {
		if err := g.refuseOrphans(); err != nil {
			return "", err
		}
		return g.begin()
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", currentFile, err)
	}
	n, err := parseGeneration(strings.TrimSuffix(string(name), "\n"))
	if err != nil {
		return "", fmt.Errorf("%w: %s: %v", store.ErrCorrupt, g.currentPath(), err)
	}
	if _, err := os.Stat(g.path(n)); err != nil {
		return "", fmt.Errorf("%w: %s names %s: %v", store.ErrCorrupt, currentFile, g.path(n), err)
	}
	if why, err := g.marked(g.path(n)); err != nil || why != "" {
		if err == nil {
			err = fmt.Errorf("%w: %s was found damaged: %s", store.ErrCorrupt, g.path(n), why)
		}
		return g.path(n), err
	}
	return g.path(n), g.clean(g.path(n))
}

// refuseOrphans finds a generation whose CURRENT is gone: a damaged directory,
// not an empty one.
func (g generations) refuseOrphans() error {
	found, err := filepath.Glob(filepath.Join(g.dir, generationPrefix+"*", "state.db"))
	if err != nil {
		return fmt.Errorf("list generations: %w", err)
	}
	if len(found) > 0 {
		return fmt.Errorf("%w: %s is missing beside %s", store.ErrCorrupt, g.currentPath(), found[0])
	}
	return nil
}

// all lists the directories of all generations.
func (g generations) all() ([]string, error) {
	all, err := filepath.Glob(filepath.Join(g.dir, generationPrefix+"*"))
	if err != nil {
		return nil, fmt.Errorf("list generations: %w", err)
	}
	return all, nil
}

// fresh returns the directory of a generation after all that there are, empty.
func (g generations) fresh() (string, error) {
	all, err := g.all()
	if err != nil {
		return "", err
	}
	last := uint64(0)
	for _, path := range all {
		if n, err := parseGeneration(filepath.Base(path)); err == nil {
			last = max(last, n)
		}
	}
	path := g.path(last + 1)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", fmt.Errorf("create %s: %w", path, err)
	}
	return path, nil
}

// latest returns the newest generation but one, empty if there is none.
func (g generations) latest(but string) (latest string, err error) {
	all, err := g.all()
	if err != nil {
		return "", err
	}
	for _, path := range all { // in the order of their numbers, up to a million
		if path != but {
			latest = path
		}
	}
	return latest, nil
}

// standIn returns an empty directory that never becomes a generation.
func (g generations) standIn() (string, error) {
	if err := g.makeStaging(); err != nil {
		return "", err
	}
	path := filepath.Join(g.staging(), "stand-in")
	if err := os.RemoveAll(path); err != nil {
		return "", fmt.Errorf("remove %s: %w", path, err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", fmt.Errorf("create %s: %w", path, err)
	}
	return path, nil
}

// newestOrigin returns the latest origin of all generations.
func (g generations) newestOrigin() (newest snapshotOrigin, err error) {
	all, err := g.all()
	if err != nil {
		return snapshotOrigin{}, err
	}
	for _, path := range all {
		origin, err := readOrigin(path)
		if err != nil {
			return snapshotOrigin{}, err
		}
		if origin.Index > newest.Index {
			newest = origin
		}
	}
	return newest, nil
}

// begin makes the first generation of an empty data directory.
func (g generations) begin() (string, error) {
	path := g.path(1)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", fmt.Errorf("create %s: %w", path, err)
	}
	if err := g.switchTo(path); err != nil {
		return "", err
	}
	return path, g.clean(path)
}

// switchTo puts a complete generation in force, by one rename.
func (g generations) switchTo(path string) error {
	if err := store.SyncDir(g.seam, g.dir); err != nil {
		return err
	}
	return store.WriteFileAtomic(g.seam, g.currentPath(), []byte(filepath.Base(path)+"\n"))
}

// clean removes every other generation and what is left of transfers, except the
// segments that are staged for the next one. What is marked as damaged goes to
// quarantine.
func (g generations) clean(keep string) error {
	if err := g.quarantineMarked(keep); err != nil {
		return err
	}
	var leftovers []string
	for _, pattern := range []string{
		filepath.Join(g.dir, generationPrefix+"*"),
		filepath.Join(g.staging(), "*"),
		filepath.Join(g.stagedSegments(), "*"+store.TempPath("")),
	} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return fmt.Errorf("list %s: %w", pattern, err)
		}
		leftovers = append(leftovers, found...)
	}
	for _, path := range leftovers {
		if path == keep || path == g.stagedSegments() {
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("remove %s: %w", path, err)
		}
	}
	return g.makeStaging()
}

func (g generations) makeStaging() error {
	if err := os.MkdirAll(g.stagedSegments(), 0o700); err != nil {
		return fmt.Errorf("create %s: %w", g.stagedSegments(), err)
	}
	return nil
}

func (g generations) currentPath() string { return filepath.Join(g.dir, currentFile) }

func (g generations) staging() string { return filepath.Join(g.dir, stagingDir) }

func (g generations) stagedSegments() string { return filepath.Join(g.staging(), segmentsDir) }

func (g generations) path(n uint64) string {
	return filepath.Join(g.dir, fmt.Sprintf("%s%06d", generationPrefix, n))
}

func parseGeneration(name string) (uint64, error) {
	digits, ok := strings.CutPrefix(name, generationPrefix)
	n, err := strconv.ParseUint(digits, 10, 64)
	if !ok || err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not the name of a generation", name)
	}
	return n, nil
}
