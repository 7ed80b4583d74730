// Where one can go, and who sees it there.

import {
  ApiOutlined,
  AuditOutlined,
  BankOutlined,
  BranchesOutlined,
  CommentOutlined,
  DashboardOutlined,
  DollarOutlined,
  FileSearchOutlined,
  KeyOutlined,
  LineChartOutlined,
  SettingOutlined,
  TeamOutlined,
  UserOutlined,
} from '@ant-design/icons';
import type { ReactNode } from 'react';
import type { Right } from './session';

export type Place = {
  path: string;
  name: string;
  icon: ReactNode;
  right: Right;
  part: 'watch' | 'manage' | 'system';
};

export const PLACES: Place[] = [
  { path: '/overview', name: 'nav.overview', icon: <DashboardOutlined />, right: 'any', part: 'watch' },
  { path: '/usage', name: 'nav.usage', icon: <LineChartOutlined />, right: 'any', part: 'watch' },
  { path: '/requests', name: 'nav.requests', icon: <FileSearchOutlined />, right: 'any', part: 'watch' },
  { path: '/keys', name: 'nav.keys', icon: <KeyOutlined />, right: 'any', part: 'manage' },
  { path: '/groups', name: 'nav.groups', icon: <TeamOutlined />, right: 'any', part: 'manage' },
  { path: '/users', name: 'nav.users', icon: <UserOutlined />, right: 'readAll', part: 'manage' },
  {
    path: '/organizations',
    name: 'nav.organizations',
    icon: <BankOutlined />,
    right: 'readAll',
    part: 'manage',
  },
  { path: '/channels', name: 'nav.channels', icon: <ApiOutlined />, right: 'super', part: 'manage' },
  { path: '/models', name: 'nav.models', icon: <DollarOutlined />, right: 'any', part: 'manage' },
  { path: '/policies', name: 'nav.policies', icon: <BranchesOutlined />, right: 'readAll', part: 'manage' },
  { path: '/playground', name: 'nav.playground', icon: <CommentOutlined />, right: 'any', part: 'watch' },
  { path: '/audit', name: 'nav.audit', icon: <AuditOutlined />, right: 'readAll', part: 'system' },
  { path: '/system', name: 'nav.system', icon: <SettingOutlined />, right: 'super', part: 'system' },
];
