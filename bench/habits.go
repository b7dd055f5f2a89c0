package bench

import (
	"fmt"
	"strings"

	"spoor/pipeline/event"
)

// deed is one thing that programs of a kind do in the background, as a template. In it {sid} {user} are the
// user's, {guid} {hex8} {hex4} {n} are drawn, {word} {ext} come from lists.
type deed struct {
	weight int
	event  string
	target string // key or path
	extra  string // value name, or new path of a rename
}

// habits are what programs do while nobody looks, by kind. The mix follows what sensors report: the registry
// comes first, files second, and processes hardly count.
var habits = map[string][]deed{
	"svchost": {
		{9, "set_key_value", `HKLM\System\CurrentControlSet\Services\bam\State\UserSettings\{sid}`, `\Device\HarddiskVolume3\Windows\System32\{word}.exe`},
		{8, "create_key", `HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Schedule\TaskCache\Tree\Microsoft\Windows\{word}`, ""},
		{6, "set_key_value", `HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Schedule\TaskCache\Tasks\{guid}`, "DynamicInfo"},
		{6, "set_key_value", `HKLM\System\CurrentControlSet\Services\Tcpip\Parameters\Interfaces\{guid}`, "LeaseObtainedTime"},
		{6, "create_key", `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Group Policy\DataStore\{sid}`, ""},
		{4, "set_key_value", `HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\NetworkList\Profiles\{guid}`, "DateLastConnected"},
		{5, "create_key", `HKLM\SOFTWARE\Microsoft\SystemCertificates\{word}\Certificates`, ""},
		{4, "set_key_value", `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Diagnostics\DiagTrack\HeartBeats\Default`, "LastHeartBeatTime"},
		{3, "open_key", `\REGISTRY\MACHINE\SYSTEM\ControlSet001\Services\{word}`, ""},
		{3, "create", `C:\Windows\Prefetch\{WORD}.EXE-{hex8}.pf`, ""},
		{2, "create", `C:\Windows\ServiceProfiles\LocalService\AppData\Local\FontCache\{hex8}.tmp`, ""},
		{2, "delete", `C:\Windows\ServiceProfiles\NetworkService\AppData\Local\Temp\{hex8}.tmp`, ""},
		{1, "delete_key_value", `HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\VolatileNotifications`, "{hex8}{hex8}"},
		{1, "write", `C:\Windows\System32\winevt\Logs\Microsoft-Windows-{word}%4Operational.evtx`, ""},
	},
	"explorer": {
		{8, "set_key_value", `HKU\{sid}\SOFTWARE\Microsoft\Windows\CurrentVersion\Explorer\UserAssist\{guid}\Count`, `{hex8}{hex8}`},
		{7, "create_key", `HKU\{sid}\SOFTWARE\Microsoft\Windows\CurrentVersion\Explorer\FileExts\.{ext}\OpenWithProgids`, ""},
		{7, "set_key_value", `HKU\{sid}_Classes\Local Settings\Software\Microsoft\Windows\Shell\BagMRU\{n}`, "MRUListEx"},
		{6, "create_key", `HKU\{sid}_Classes\Local Settings\Software\Microsoft\Windows\Shell\Bags\{n}\Shell`, ""},
		{4, "set_key_value", `HKU\{sid}\SOFTWARE\Microsoft\Windows\CurrentVersion\Explorer\RecentDocs\.{ext}`, "MRUListEx"},
		{3, "set_key_value", `HKU\{sid}\SOFTWARE\Microsoft\Windows\CurrentVersion\Explorer\SessionInfo\1\ApplicationViewManagement\W32:{hex8}`, "VirtualDesktop"},
		{3, "create", `C:\Users\{user}\AppData\Roaming\Microsoft\Windows\Recent\{word}.{ext}.lnk`, ""},
		{2, "create", `C:\Users\{user}\AppData\Local\Microsoft\Windows\Explorer\thumbcache_{hex4}.db`, ""},
		{1, "delete_key", `HKU\{sid}\SOFTWARE\Microsoft\Windows\CurrentVersion\Explorer\SessionInfo\1\ApplicationViewManagement\W32:{hex8}`, ""},
		{1, "rename", `C:\Users\{user}\Documents\New folder`, `C:\Users\{user}\Documents\{word}`},
	},
	"office": {
		{8, "set_key_value", `HKU\{sid}\SOFTWARE\Microsoft\Office\16.0\Common\Roaming\Identities\{guid}`, "LastSyncTime"},
		{7, "create_key", `HKU\{sid}\SOFTWARE\Microsoft\Office\16.0\Word\Resiliency\DocumentRecovery\{hex8}`, ""},
		{5, "delete_key", `HKU\{sid}\SOFTWARE\Microsoft\Office\16.0\Word\Resiliency\DocumentRecovery\{hex8}`, ""},
		{5, "set_key_value", `HKU\{sid}\SOFTWARE\Microsoft\Office\16.0\Common\LanguageResources\EnabledEditingLanguages`, "en-US"},
		{4, "create", `C:\Users\{user}\AppData\Local\Microsoft\Office\16.0\WebServiceCache\{hex8}`, ""},
		{3, "create", `C:\Users\{user}\AppData\Roaming\Microsoft\Office\Recent\{word}.LNK`, ""},
		{3, "create", `C:\Users\{user}\Documents\~${word}.docx`, ""},
		{3, "rename", `C:\Users\{user}\Documents\{hex8}.tmp`, `C:\Users\{user}\Documents\{word}.docx`},
		{2, "delete", `C:\Users\{user}\Documents\~${word}.docx`, ""},
	},
	"browser": {
		{6, "create", `C:\Users\{user}\AppData\Local\Microsoft\Edge\User Data\Default\Cache\Cache_Data\f_{hex8}`, ""},
		{4, "set_key_value", `HKU\{sid}\SOFTWARE\Microsoft\Edge\PreferenceMACs\Default\extensions.settings`, `{word}{hex8}`},
		{3, "rename", `C:\Users\{user}\AppData\Local\Microsoft\Edge\User Data\Default\{hex8}.tmp`, `C:\Users\{user}\AppData\Local\Microsoft\Edge\User Data\Default\Preferences`},
		{2, "delete", `C:\Users\{user}\AppData\Local\Microsoft\Edge\User Data\Default\Cache\Cache_Data\f_{hex8}`, ""},
		{2, "set_key_value", `HKU\{sid}\SOFTWARE\Microsoft\Edge\BLBeacon`, "state"},
		{1, "create", `C:\Users\{user}\Downloads\{word}.{ext}.crdownload`, ""},
	},
	"search": {
		{6, "create_key", `HKLM\SOFTWARE\Microsoft\Windows Search\Gather\Windows\SystemIndex\Sites\{n}`, ""},
		{4, "set_key_value", `HKLM\SOFTWARE\Microsoft\Windows Search\UsnNotifier\Windows\Catalogs\SystemIndex`, "{hex8}"},
		{3, "delete_key", `HKLM\SOFTWARE\Microsoft\Windows Search\Applications\Windows\{hex4}`, ""},
		{3, "create", `C:\ProgramData\Microsoft\Search\Data\Applications\Windows\Projects\SystemIndex\Indexer\CiFiles\{hex8}.ci`, ""},
	},
	"defender": {
		{5, "set_key_value", `HKLM\SOFTWARE\Microsoft\Windows Defender\Signature Updates`, "SignaturesLastUpdated"},
		{5, "create_key", `HKLM\SOFTWARE\Microsoft\Windows Defender\Diagnostics\{word}`, ""},
		{5, "create", `C:\ProgramData\Microsoft\Windows Defender\Scans\History\CacheManager\MpScanCache-{n}.bin.tmp`, ""},
		{4, "delete", `C:\Windows\Temp\MpSigStub-{hex8}.tmp`, ""},
		{1, "open_key", `\REGISTRY\MACHINE\SYSTEM\ControlSet001\Services\{word}`, ""},
	},
	"lsass": {
		{6, "open_key", `\REGISTRY\MACHINE\SYSTEM\ControlSet001\Control\Lsa`, ""},
		{3, "open_key", `\REGISTRY\MACHINE\SAM\SAM\Domains\Account\Users\{hex8}`, ""},
		{1, "set_key_value", `HKLM\System\CurrentControlSet\Control\Lsa`, "LsaPid"},
	},
	"services": {
		{4, "set_key_value", `HKLM\System\CurrentControlSet\Services\{word}`, "Start"},
		{3, "create_key", `HKLM\System\CurrentControlSet\Services\{word}\Parameters`, ""},
		{2, "permission", "Token", ""},
	},
	"onedrive": {
		{4, "set_key_value", `HKU\{sid}\SOFTWARE\Microsoft\OneDrive\Accounts\Business1`, "LastUpdate"},
		{4, "create", `C:\Users\{user}\AppData\Local\Microsoft\OneDrive\logs\Business1\SyncEngine-{hex8}.odl`, ""},
		{3, "utimes", `C:\Users\{user}\OneDrive - Corp\{word}.{ext}`, ""},
		{2, "rename", `C:\Users\{user}\OneDrive - Corp\{hex8}.tmp`, `C:\Users\{user}\OneDrive - Corp\{word}.{ext}`},
	},
	"editor": {
		{5, "create", `C:\Users\{user}\AppData\Roaming\Code\User\workspaceStorage\{hex8}\state.vscdb-journal`, ""},
		{4, "delete", `C:\Users\{user}\AppData\Roaming\Code\User\workspaceStorage\{hex8}\state.vscdb-journal`, ""},
		{4, "write", `C:\src\shop\internal\{word}\{word}.go`, ""},
		{2, "rename", `C:\src\shop\{hex8}.tmp`, `C:\src\shop\{word}.go`},
	},
	"build": {
		{8, "create", `C:\Users\{user}\AppData\Local\go-build\{hex4}\{hex8}{hex8}-a`, ""},
		{5, "create", `C:\Users\{user}\AppData\Local\Temp\go-build{n}\b{n}\_pkg_.a`, ""},
		{5, "delete", `C:\Users\{user}\AppData\Local\Temp\go-build{n}\b{n}\importcfg`, ""},
	},
	"node": {
		{9, "create", `C:\src\shop\web\node_modules\{word}\{word}.js`, ""},
		{3, "write", `C:\src\shop\web\dist\{word}.{hex8}.js`, ""},
		{2, "rename", `C:\Users\{user}\AppData\Local\npm-cache\_cacache\tmp\{hex8}`, `C:\Users\{user}\AppData\Local\npm-cache\_cacache\content-v2\{hex4}\{hex8}`},
	},
	"git": {
		{5, "create", `C:\src\shop\.git\objects\{hex4}\{hex8}{hex8}`, ""},
		{3, "rename", `C:\src\shop\.git\index.lock`, `C:\src\shop\.git\index`},
		{1, "delete", `C:\src\shop\.git\refs\heads\{word}.lock`, ""},
	},
	"iis": {
		{6, "write", `C:\inetpub\logs\LogFiles\W3SVC1\u_ex260105.log`, ""},
		{5, "create", `C:\Windows\Microsoft.NET\Framework64\v4.0.30319\Temporary ASP.NET Files\root\{hex8}\{word}.compiled`, ""},
		{4, "create", `C:\inetpub\wwwroot\shop\uploads\{word}.{ext}`, ""},
		{4, "open_key", `\REGISTRY\MACHINE\SOFTWARE\Microsoft\InetStp`, ""},
		{3, "set_key_value", `HKLM\SOFTWARE\Microsoft\WAS\Parameters`, "ConfigGeneration"},
	},
	"sql": {
		{6, "write", `E:\MSSQL\DATA\tempdb.mdf`, ""},
		{5, "create", `E:\MSSQL\Log\log_{n}.trc`, ""},
		{5, "set_key_value", `HKLM\SOFTWARE\Microsoft\Microsoft SQL Server\MSSQL16.MSSQLSERVER\MSSQLServer\CurrentVersion`, "CurrentVersion"},
		{3, "create", `F:\Backup\shop_{n}.trn`, ""},
	},
	"directory": {
		{5, "write", `C:\Windows\NTDS\edb.log`, ""},
		{5, "set_key_value", `HKLM\System\CurrentControlSet\Services\NTDS\Parameters`, "Last Sync"},
		{4, "create_key", `HKLM\System\CurrentControlSet\Services\DFSR\Parameters\{word}`, ""},
	},
	"servicing": {
		{12, "create_key", `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages\Package_{n}_for_KB{n}~31bf3856ad364e35~amd64~~10.0.1.{n}`, ""},
		{10, "set_key_value", `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\ComponentDetect\amd64_{word}_31bf3856ad364e35`, "{hex8}"},
		{6, "create", `C:\Windows\WinSxS\Temp\InFlight\{hex8}{hex8}\{word}.dll`, ""},
		{3, "rename", `C:\Windows\WinSxS\Temp\InFlight\{hex8}{hex8}\{word}.dll`, `C:\Windows\System32\{word}.dll`},
		{2, "permission", "File", `C:\Windows\System32\{word}.dll`},
		{1, "delete_key", `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\SessionsPending\{n}`, ""},
	},
	"installer": {
		{8, "create_key", `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Installer\UserData\S-1-5-18\Components\{hex8}{hex8}{hex8}{hex8}`, ""},
		{6, "set_key_value", `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Installer\Folders`, `C:\Program Files\{word}\`},
		{5, "create", `C:\Program Files\Vendor\{word}\{word}.dll`, ""},
		{2, "create", `C:\Windows\Installer\MSI{hex4}.tmp`, ""},
		{2, "delete", `C:\Windows\Installer\MSI{hex4}.tmp`, ""},
		{1, "permission", "File", `C:\Program Files\Vendor\{word}`},
	},
}

// habitOf is the kind of a program by its file's name.
func habitOf(path string) string { return kinds[strings.ToLower(event.Basename(path))] }

var kinds = map[string]string{
	"svchost.exe": "svchost", "taskhostw.exe": "svchost", "wmiprvse.exe": "svchost", "explorer.exe": "explorer",
	"winword.exe": "office", "excel.exe": "office", "outlook.exe": "office", "powerpnt.exe": "office",
	"msedge.exe": "browser", "searchindexer.exe": "search", "msmpeng.exe": "defender", "lsass.exe": "lsass",
	"services.exe": "services", "onedrive.exe": "onedrive", "code.exe": "editor", "devenv.exe": "editor",
	"compile.exe": "build", "link.exe": "build", "msbuild.exe": "build", "node.exe": "node", "git.exe": "git",
	"w3wp.exe": "iis", "sqlservr.exe": "sql", "dfsrs.exe": "directory", "dns.exe": "directory",
	"tiworker.exe": "servicing", "msiexec.exe": "installer",
}

// habit lets p do one thing of its kind.
func (h *host) habit(p *proc) {
	of := habits[p.habit]
	sum := 0
	for _, d := range of {
		sum += d.weight
	}
	n := h.rng.intn(max(sum, 1))
	for _, d := range of {
		if n -= d.weight; n >= 0 {
			continue
		}
		switch {
		case d.event == "permission":
			path := "-"
			if d.extra != "" {
				path = h.fill(d.extra)
			}
			h.permission(p, d.target, path, "D:(A;;GA;;;SY)(A;;RCGXGR;;;BA)",
				fmt.Sprintf("D:(A;;GA;;;SY)(A;;RC;;;OW)(A;;GA;;;S-1-5-80-%d-%d)", h.rng.intn(1<<31), h.rng.intn(1<<31)))
		case strings.HasPrefix(d.target, "HK") || strings.HasPrefix(d.target, `\REGISTRY`):
			h.registry(d.event, p, h.fill(d.target), h.fill(d.extra))
		default:
			h.file(d.event, p, h.fill(d.target), h.fill(d.extra))
		}
		return
	}
}

var words = strings.Fields(`alpha budget calendar Defrag draft dwm Feedback forecast invoice Maintenance meeting minutes notes
	order plan Power price project proposal quote report review sales schedule Servicing Shell status summary Sysmain
	team TPM travel Wcm WDI Wininet Workplace audit basket cart checkout client config contract customer delivery design`)

var extensions = []string{"docx", "xlsx", "pptx", "pdf", "png", "txt", "csv", "jpg", "msg", "zip"}

// fill replaces what a template leaves open.
func (h *host) fill(template string) string {
	if !strings.Contains(template, "{") {
		return template
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(template, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		switch name {
		case "sid":
			b.WriteString(h.user.sid)
		case "user":
			b.WriteString(h.user.login)
		case "guid":
			fmt.Fprintf(&b, "{%08X-%04X-%04X-%04X-%012X}", uint32(h.rng.next()), uint16(h.rng.next()), uint16(h.rng.next()),
				uint16(h.rng.next()), h.rng.next()>>16)
		case "hex8":
			fmt.Fprintf(&b, "%08X", uint32(h.rng.next()))
		case "hex4":
			fmt.Fprintf(&b, "%04x", uint16(h.rng.next()))
		case "n":
			fmt.Fprintf(&b, "%d", h.rng.intn(4000))
		case "word":
			b.WriteString(pick(h.rng, words))
		case "WORD":
			b.WriteString(strings.ToUpper(pick(h.rng, words)))
		case "ext":
			b.WriteString(pick(h.rng, extensions))
		default:
			b.WriteString("{" + name + "}")
		}
		template = after
	}
}
