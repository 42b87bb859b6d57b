package wasmpack

import (
	"regexp"
	"slices"
)

// omission is a group of functions of the runtime whose code is left out of
// programs for browsers, where nothing can ask for what they do.
type omission struct {
	why    string
	unless []string // functions that ask for it, when they are in the program
	quiet  bool     // called nevertheless, and to do nothing; else they stop the program
	names  *regexp.Regexp
}

var omissions = []omission{
	{
		why:    "execution traces are off until a program starts one",
		unless: []string{"runtime.StartTrace"},
		names:  runtimeNames(`traceAdvance(\.func.*)?`, `trace(ReadCPU|StopReadCPU|Stack|BufFlush|RegisterLabels.*|Snapshot.*|SyncBatch)`, `makeTraceFrames?`, `traceLocker\.([A-Z].*|em.*|ev.*)`, `trace(Event)?Writer\..*`, `\(\*trace(StackTable|StringTable|TypeTable|Map|RegionAlloc|Buf)\)\..*`, `startPCForTrace`, `goStatusToTraceGoStatus`),
	},
	{
		why:    "profiles of the processor are off until a program starts one",
		unless: []string{"runtime.SetCPUProfileRate", "runtime.pprof_readProfile"},
		names:  runtimeNames(`\(\*profBuf\)\..*`),
	},
	{
		why:    "profiles of memory are off in programs that do not ask for them",
		unless: []string{"runtime.MemProfile", "runtime.memProfileInternal", "runtime.SetBlockProfileRate", "runtime.SetMutexProfileFraction"},
		quiet:  true, // what is allocated before the runtime knows that is recorded
		names:  runtimeNames(`mProf_Malloc`, `setprofilebucket`, `saveblockevent`),
	},
	{
		why:    "goroutines are recorded while a profile of them is made",
		unless: []string{"runtime.goroutineProfileWithLabels", "runtime.goroutineProfileWithLabelsConcurrent", "runtime.goroutineProfileWithLabelsSync", "runtime.goroutineLeakProfileWithLabels"},
		names:  runtimeNames(`(doR|tryR)ecordGoroutineProfile(WB|\.func.*)?`, `saveg`, `find(MaybeRunnable)?Goroutine(Leak)?s`, `\(\*g\)\.isMaybeRunnable`),
	},
	{
		why:    "bubbles of goroutines are for tests",
		unless: []string{"internal/synctest.Run", "runtime.synctestRun"},
		names:  runtimeNames(`getOrSetBubbleSpecial`, `\(\*synctestBubble\)\..*`),
	},
	{
		why:   "GODEBUG asks for them: schedtrace, scavtrace, gctrace, gccheckmark, checkfinalizers, tracebackancestors",
		names: runtimeNames(`schedtrace(\.func.*)?`, `printScavTrace`, `dumpScanStats`, `runCheckmark`, `setCheckmark`, `startCheckmarks.*`, `checkFinalizersAndCleanups(\.func.*)?`, `printAncestor.*`),
	},
	{
		why:   "they print memory before the program is ended for damage to it; the message of what is damaged follows",
		quiet: true,
		names: runtimeNames(`gcDumpObject`, `hexdumpWords`, `dumpgstatus`),
	},
	{
		why:   "they check the compiler, the linker and the machine when a program starts",
		quiet: true,
		names: runtimeNames(`check`, `moduledataverify1`, `typelinksinit`),
	},
	{
		why:   "GODEBUG asks for it, to find which change of a release matters",
		names: regexp.MustCompile(`^internal/bisect\.`),
	},
	{
		why:   "there are neither C nor plugins",
		names: runtimeNames(`typesEqual`, `cgocall`, `cgoContextPCs`, `callCgoSymbolizer`, `newextram`, `oneNewExtraM`, `lockextra`, `print(One)?CgoTraceback`, `expandCgoFrames`),
	},
}

func runtimeNames(patterns ...string) *regexp.Regexp {
	all := ""
	for k, p := range patterns {
		if k > 0 {
			all += "|"
		}
		all += p
	}
	return regexp.MustCompile(`^runtime\.(` + all + `)$`)
}

// omitted returns what functions become that are left out, by number.
func omitted(names []string) map[int][]byte {
	out := map[int][]byte{}
	for _, o := range omissions {
		if slices.ContainsFunc(o.unless, func(name string) bool { return slices.Contains(names, name) }) {
			continue
		}
		code := []instruction{{op: opUnreachable}, {op: opEnd}}
		if o.quiet {
			code = []instruction{
				{op: opGlobalGet, value: globalSP}, {op: opI32Const, value: 8}, {op: opI32Add}, {op: opGlobalSet, value: globalSP},
				{op: opI32Const}, {op: opEnd},
			}
		}
		body, err := (&function{code: code}).append(nil)
		if err != nil {
			panic(err) // the code above is what it is
		}
		for k, name := range names {
			if o.names.MatchString(name) {
				out[k] = body
			}
		}
	}
	return out
}
