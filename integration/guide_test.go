package integration

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/edri-io/edri/integration/guide"
)

const operationsGuide = "../docs/operations.md"

// Each chapter of the operator's guide runs as a person would type it, after the
// first, which starts three nodes, except that the nodes listen on other ports.
func TestCommandsOfTheOperationsGuideRun(t *testing.T) {
	t.Parallel()
	chapters, err := guide.Read(operationsGuide)
	must(t, err)
	deploy, err := guide.Find(chapters, "Deploy")
	must(t, err)
	// A few at a time: each has three nodes.
	turns := make(chan struct{}, 3)
	for _, chapter := range chapters {
		if len(chapter.Commands()) == 0 {
			continue
		}
		t.Run(chapter.Title, func(t *testing.T) {
			t.Parallel()
			turns <- struct{}{}
			defer func() { <-turns }()
			began := time.Now()
			runChapter(t, deploy, chapter)
			t.Logf("%d commands in %v", len(chapter.Commands()), time.Since(began).Round(time.Millisecond))
		})
	}
}

func runChapter(t *testing.T, deploy, chapter guide.Chapter) {
	t.Helper()
	commands := deploy.Commands()
	if chapter.Title != deploy.Title {
		commands = append(commands, chapter.Commands()...)
	}
	texts := slices.Clone(commands)
	files := map[string]string{}
	for _, c := range []guide.Chapter{deploy, chapter} {
		for name, text := range c.Files() {
			files[name] = text
			texts = append(texts, text)
		}
	}
	free := freeAddressesFor(t, texts...)
	s := newShell(t)
	for name, text := range files {
		s.write(t, name, free.Replace(text))
	}
	for i := range commands {
		commands[i] = free.Replace(commands[i])
	}
	s.run(t, commands)
	if t.Failed() {
		for _, name := range []string{"n1.log", "n2.log", "n3.log"} {
			t.Logf("end of %s:\n%s", name, tail(filepath.Join(s.dir, name)))
		}
	}
}
