// Where the address leads. Each screen draws itself; the device's Back is the browser's.
import { look, onAgent, icon, setState, setting, say } from './ui.js';
import { t } from './words.js';
import * as visit from './visit.js';
import * as today from './today.js';
import * as finish from './finish.js';
import * as device from './device.js';

const screens = {
    '': today.today,
    find: today.find,
    h: today.household,
    sync: today.sync,
    settings: device.settings,
    pin: device.pin,
    enrol: device.enrol,
    courier: device.courier,
    conflicts: device.conflicts,
    lead: device.verify,
    tour: device.tour,
    help: device.help,
    visit: visit.screen,
    list: finish.list,
    check: finish.check,
    judge: finish.judge,
    findings: finish.findings,
    receipt: finish.receipt,
};
export function go(hash, replace) {
    if (replace) history.replaceState(null, '', hash);
    else if (location.hash !== hash) history.pushState(null, '', hash);
    route();
}
export const home = () => go('#/');
function route() {
    const [, name, ...rest] = location.hash.split('/');
    const f = screens[name || ''];
    if (!f) {
        home();
        return;
    }
    f(...rest.map(decodeURIComponent));
}
export function again() {
    route();
}
addEventListener('popstate', route);

onAgent((what) => {
    if (what === 'locked') {
        device.locked();
    } else if (what === 'down') {
        setState(icon('close'), '…');
        say(t('restarting'), true);
        const timer = setInterval(
            () =>
                fetch('/api/state', { headers: { 'X-Doorstep': '1' } }).then(
                    (r) => {
                        clearInterval(timer);
                        if (r.status === 401) location.reload();
                        else route();
                    },
                    () => 0,
                ),
            1500,
        );
    }
});
look();
if (!setting('toured', '') && location.hash.length < 3) go('#/tour/1', true);
else route();
