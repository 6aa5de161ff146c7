package server

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/edri-io/edri/event"
)

// Sources are the places where settings may stand.
type Sources struct {
	// Flags are the settings given on the command line, by name.
	Flags map[string]string
	// LookupEnv is os.LookupEnv. A variable that is set but empty counts as not
	// set, as is usual where environments are templates.
	LookupEnv func(string) (string, bool)
	// File is the path of the YAML file; empty: EDRI_CONFIG, else none.
	File string
	// Preset are values that replace defaults, by name.
	Preset map[string]string
}

// FileEnv is the environment variable that names the YAML file.
const FileEnv = "EDRI_CONFIG"

// Effective is the configuration and where each of its values came from.
type Effective struct {
	Config
	// File is the path of the YAML file that was read; empty: none.
	File string
	// origins has, by setting, "flag --NAME", "env EDRI_NAME", "FILE:LINE",
	// "preset" or "default".
	origins map[string]string
}

// Origin says where the value of a setting came from.
func (e *Effective) Origin(setting string) string { return e.origins[setting] }

// given is a value and the place where it stands.
type given struct {
	value, origin string
}

// Load reads all settings and checks them. Its errors are ErrConfig and name the
// place of the value that is wrong.
func Load(src Sources) (*Effective, error) {
	e, err := load(src)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return e, nil
}

func load(src Sources) (*Effective, error) {
	if src.LookupEnv == nil {
		src.LookupEnv = func(string) (string, bool) { return "", false }
	}
	e := &Effective{File: src.File, origins: make(map[string]string, len(settings))}
	if e.File == "" {
		e.File, _ = src.LookupEnv(FileEnv)
	}
	var inFile file
	if e.File != "" {
		var err error
		if inFile, err = readFile(e.File); err != nil {
			return nil, err
		}
	}
	e.Workers = inFile.workers
	for name := range src.Flags {
		if !isSetting(name) {
			return nil, fmt.Errorf("flag --%s is not a setting", name)
		}
	}
	for _, s := range settings {
		g := src.find(s, inFile.settings)
		e.origins[s.Name] = g.origin
		if g.value == "" && g.value == s.Default {
			continue
		}
		if err := s.set(&e.Config, g.value); err != nil {
			return nil, fmt.Errorf("%s (%s): %w", s.Name, g.origin, err)
		}
	}
	e.Limits.Name = event.MaxNameBytes
	if p := e.check(); p != nil {
		return nil, fmt.Errorf("%s (%s): %w", p.setting, e.place(p.setting), p.err)
	}
	return e, nil
}

// place says where a setting stands, or where it could.
func (e *Effective) place(setting string) string {
	for _, s := range settings {
		if s.Name == setting && s.Default == "" && e.origins[setting] == "default" {
			return fmt.Sprintf("--%s, %s or in the file", setting, s.Env())
		}
	}
	return e.origins[setting]
}

// find returns the value that counts.
func (src Sources) find(s Setting, inFile map[string]given) given {
	if v, ok := src.Flags[s.Name]; ok {
		return given{v, "flag --" + s.Name}
	}
	if v, _ := src.LookupEnv(s.Env()); v != "" {
		return given{v, "env " + s.Env()}
	}
	if g, ok := inFile[s.Name]; ok {
		return g
	}
	if v, ok := src.Preset[s.Name]; ok {
		return given{v, "preset"}
	}
	return given{s.Default, "default"}
}

func isSetting(name string) bool {
	return slices.ContainsFunc(settings, func(s Setting) bool { return s.Name == name })
}

// nearest returns the setting whose name is most like the unknown one, or "".
func nearest(unknown string) string {
	best, distance := "", 3 // more than two edits is another word
	for _, s := range settings {
		if d := edits(strings.ToLower(strings.ReplaceAll(unknown, "_", "-")), s.Name); d < distance {
			best, distance = s.Name, d
		}
	}
	return best
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

var errNoValue = errors.New("has no value")
